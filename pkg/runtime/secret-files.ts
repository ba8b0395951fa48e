import {
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { FairtallyError } from '../kernel/errors.js';
import type { Random } from '../kernel/random.js';
import type { Config } from './config.js';
import { masterKeys } from './config-values.js';
import { hasCode } from './file-errors.js';

const SECRET_BYTES = 32;
const GENERATED_MASTER_ID = 'm1';

/**
 * The text of a secret that is made when it is first asked for: a file of its own in `<dataDir>/secrets`, mode 0600, on
 * disk before it is used. Of two processes that make it at once, both get what the first has written.
 */
export function secretFile(dataDir: string, name: string, make: () => string, random: Random): string {
  const folder = join(dataDir, 'secrets');
  const path = join(folder, name);
  const existing = readIfThere(path);
  if (existing !== null) return existing;
  const draft = writeDraft(folder, name, make(), random);
  try {
    linkSync(draft, path); // unlike a rename, it fails when another process was first
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
  } finally {
    rmSync(draft, { force: true });
  }
  syncFolder(folder);
  return readFileSync(path, 'utf8').trim();
}

/** Writes a secret in the place of the one before, whole or not at all. */
export function replaceSecretFile(dataDir: string, name: string, secret: string, random: Random): void {
  const folder = join(dataDir, 'secrets');
  renameSync(writeDraft(folder, name, secret, random), join(folder, name));
  syncFolder(folder);
}

/** Answers the path of a file beside the one that is meant, on disk, mode 0600. */
function writeDraft(folder: string, name: string, secret: string, random: Random): string {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const draft = join(folder, `${name}.${random.bytes(8).toString('hex')}`);
  const file = openSync(draft, 'wx', 0o600);
  try {
    writeSync(file, `${secret}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  return draft;
}

/** A name survives a power cut only when its folder is on disk too. */
function syncFolder(folder: string): void {
  const file = openSync(folder, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return null;
    throw error;
  }
}

/** 32 random bytes as text that fits a URL, a shell and an HMAC_SECRET. */
export const randomSecret = (random: Random): string => random.bytes(SECRET_BYTES).toString('base64url');

/**
 * The master keys as text (`id:base64`, several separated by commas): MASTER_KEY, else the file MASTER_KEY_FILE, else
 * DATA_DIR/secrets/master.key, made once.
 *
 * @throws FairtallyError `bad_master_key` when a file holds something else; its content is not told
 */
export function masterKeyText(config: Config, random: Random): string {
  const { masterKey, masterKeyFile } = config.secrets;
  if (masterKey !== null) return masterKey;
  const make = (): string => `${GENERATED_MASTER_ID}:${random.bytes(SECRET_BYTES).toString('base64')}`;
  const text =
    masterKeyFile === null
      ? secretFile(config.storage.dataDir, 'master.key', make, random)
      : readFileSync(masterKeyFile, 'utf8').trim();
  const keys = masterKeys(text.replaceAll('\n', ','));
  if (keys === undefined) {
    const path = masterKeyFile ?? join(config.storage.dataDir, 'secrets', 'master.key');
    throw new FairtallyError('bad_master_key', `${path} must hold id:base64 of 32 bytes, one per line`);
  }
  return keys;
}

/** The first secret of the signing key `demo`: HMAC_SECRET, else DATA_DIR/secrets/demo.hmac, made once. */
export function demoSecret(config: Config, random: Random): string {
  const make = (): string => randomSecret(random);
  return config.secrets.hmacSecret ?? secretFile(config.storage.dataDir, 'demo.hmac', make, random);
}
