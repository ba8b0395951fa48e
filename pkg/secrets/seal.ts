import { createCipheriv, createDecipheriv } from 'node:crypto';
import { FairtallyError } from '../kernel/errors.js';
import type { Random } from '../kernel/random.js';
import type { SealedPlace, Sealer } from './port.js';

/**
 * Secrets at rest: AES-256-GCM, written `<masterId>.<nonce>.<ciphertext+tag>` in base64url. The place where an envelope is
 * kept is authenticated with it, so that one copied into another row does not open.
 */

/** Several may open, the first one seals: that is how a master key is rotated. Ids are unique; at least one. */
export interface MasterKey {
  readonly id: string;
  /** 32 bytes. */
  readonly key: Buffer;
}

/** The sealer that holds the master keys. */
export interface MasterSealer extends Sealer {
  /** Whether the envelope is under the master key that seals now; if not, it waits to be sealed again. */
  isCurrent(sealed: string): boolean;
}

const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const MASTER_KEYS_MAX = 8;

const ENTRY = /^([A-Za-z0-9_-]{1,32}):([A-Za-z0-9+/]{43}=)$/;
const ENVELOPE = /^([A-Za-z0-9_-]{1,32})\.([A-Za-z0-9_-]{16})\.([A-Za-z0-9_-]{22,})$/;

/**
 * Reads `id:base64,id2:base64`: at most 8 keys of 32 bytes, standard base64 with padding, white space around entries allowed.
 *
 * @throws FairtallyError `invalid_master_key`; its message says which entry, never what stands in it
 */
export function parseMasterKeys(text: string): readonly MasterKey[] {
  const entries = text.split(',');
  if (entries.length > MASTER_KEYS_MAX)
    throw invalidMasterKey(`there are more than ${String(MASTER_KEYS_MAX)}`);
  const keys = entries.map((entry, index) => {
    const match = ENTRY.exec(entry.trim());
    const key = Buffer.from(match?.[2] ?? '', 'base64');
    if (match === null || key.length !== KEY_BYTES || key.toString('base64') !== match[2]) {
      throw invalidMasterKey(`entry ${String(index + 1)} is not <id>:<base64 of 32 bytes>`);
    }
    return { id: match[1] as string, key };
  });
  if (new Set(keys.map(({ id }) => id)).size !== keys.length) throw invalidMasterKey('an id stands twice');
  return keys;
}

const invalidMasterKey = (why: string): FairtallyError =>
  new FairtallyError('invalid_master_key', `the master keys cannot be read: ${why}`);

const unreadable = (why: string, cause?: unknown): FairtallyError =>
  new FairtallyError('secret_unreadable', `a sealed secret cannot be opened: ${why}`, false, { cause });

/** @throws FairtallyError `invalid_master_key` when there is no key, or one that is not 32 bytes */
export function createSealer(masterKeys: readonly MasterKey[], random: Pick<Random, 'bytes'>): MasterSealer {
  const byId = new Map(masterKeys.map(({ id, key }) => [id, key]));
  const current = masterKeys[0];
  if (current === undefined) throw invalidMasterKey('there is none');
  if (masterKeys.some(({ key }) => key.length !== KEY_BYTES)) throw invalidMasterKey('one is not 32 bytes');

  const open = (sealed: string, place: SealedPlace): Buffer => {
    const match = ENVELOPE.exec(sealed);
    if (match === null) throw unreadable('it is not an envelope');
    const [, id, nonce, box] = match as unknown as [string, string, string, string];
    const key = byId.get(id);
    if (key === undefined) throw unreadable('its master key is not among those given');
    return openBox(key, Buffer.from(nonce, 'base64url'), Buffer.from(box, 'base64url'), place);
  };

  return {
    seal(plain, place) {
      const nonce = random.bytes(NONCE_BYTES);
      const cipher = createCipheriv('aes-256-gcm', current.key, nonce, { authTagLength: TAG_BYTES });
      cipher.setAAD(placeBytes(place));
      const sealed = Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
      return `${current.id}.${nonce.toString('base64url')}.${sealed.toString('base64url')}`;
    },
    open,
    canOpen(sealed, place) {
      try {
        open(sealed, place);
        return true;
      } catch (error) {
        if (error instanceof FairtallyError && error.code === 'secret_unreadable') return false;
        throw error;
      }
    },
    isCurrent: (sealed) => sealed.startsWith(`${current.id}.`),
  };
}

function openBox(key: Buffer, nonce: Buffer, box: Buffer, place: SealedPlace): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(placeBytes(place));
  try {
    decipher.setAuthTag(box.subarray(-TAG_BYTES));
    return Buffer.concat([decipher.update(box.subarray(0, -TAG_BYTES)), decipher.final()]);
  } catch (error) {
    throw unreadable('it was changed, or belongs to another place', error);
  }
}

/** Each part behind its length, so that no two places give the same bytes. */
const placeBytes = ({ table, gameId, keyId }: SealedPlace): Buffer =>
  Buffer.from([table, gameId, keyId].map((part) => `${String(Buffer.byteLength(part))}:${part}`).join(''));
