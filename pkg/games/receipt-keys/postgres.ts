import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { calculateJwkThumbprint } from 'jose';
import { FairtallyError } from '../../kernel/errors.js';
import type { Database, Sql } from '../../postgres/port.js';
import type { SealedPlace, Sealer } from '../../secrets/port.js';
import { refuseForeignMasterKey } from '../tenants/postgres.js';
import type { ReceiptJwk, ReceiptKeys } from '../port.js';

export interface ReceiptKeyStore extends ReceiptKeys {
  /** Makes a new key that signs from now on; the one before is retired, and shown in the JWKS for good. Answers the kid. */
  rotate(gameId: string): Promise<string>;
  /** Learns of keys that other processes made. Run it every few seconds. */
  refresh(): Promise<void>;
}

interface KnownKey {
  readonly gameId: string;
  readonly kid: string;
  readonly jwk: ReceiptJwk;
  readonly publicKey: KeyObject;
  readonly sealed: string;
  readonly isRetired: boolean;
}

const MAX_KEYS = 10_000;

/**
 * The Ed25519 keys that sign receipts (RFC 8037), one current key per game, made when it is first asked for: `current` and `rotate`
 * refuse with `foreign_master_key` to seal one that no other process could open.
 */
export function createReceiptKeys(database: Database, sealer: Sealer): ReceiptKeyStore {
  /** Newest first. */
  let known: readonly KnownKey[] = [];
  let isLoaded = false;
  const privateKeys = new Map<string, KeyObject>();

  const refresh = async (): Promise<void> => {
    known = (await readKeys(database)).map(knownKey);
    isLoaded = true;
  };
  const load = async (): Promise<readonly KnownKey[]> => {
    if (!isLoaded) await refresh();
    return known;
  };
  const currentOf = (gameId: string): KnownKey | undefined =>
    known.find((key) => key.gameId === gameId && !key.isRetired);

  const privateKeyOf = (known: KnownKey): KeyObject => {
    const { kid, sealed } = known;
    let key = privateKeys.get(kid);
    if (key === undefined) {
      const der = sealer.open(sealed, placeOf(known));
      key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
      if (privateKeys.size >= MAX_KEYS) privateKeys.clear();
      privateKeys.set(kid, key);
    }
    return key;
  };

  const addKey = async (gameId: string, retireOld: boolean): Promise<void> => {
    await database.transaction((sql) => insertKey(sql, sealer, gameId, retireOld));
    await refresh();
  };

  return {
    async current(gameId) {
      await load();
      const newest = currentOf(gameId);
      if (newest === undefined || !(privateKeys.has(newest.kid) || opens(newest, sealer)))
        await addKey(gameId, false);
      const key = currentOf(gameId);
      if (key === undefined)
        throw new FairtallyError('receipt_key_missing', `game "${gameId}" has no receipt key`, true);
      return { kid: key.kid, privateKey: privateKeyOf(key) };
    },
    async jwks(gameId) {
      const keys = (await load()).filter((key) => gameId === undefined || key.gameId === gameId);
      return { keys: keys.map((key) => key.jwk) };
    },
    async publicKey(kid) {
      const key = (await load()).find((candidate) => candidate.kid === kid);
      return key === undefined ? null : { gameId: key.gameId, publicKey: key.publicKey };
    },
    async rotate(gameId) {
      await addKey(gameId, true);
      return currentOf(gameId)?.kid ?? '';
    },
    refresh,
  };
}

interface KeyRow {
  readonly game_id: string;
  readonly kid: string;
  readonly public_jwk: ReceiptJwk;
  readonly secret: string;
  readonly is_retired: boolean;
}

async function readKeys(sql: Sql): Promise<KeyRow[]> {
  const rows = await sql.query<KeyRow>(
    `SELECT game_id, kid, public_jwk, secret, retired_at IS NOT NULL AS is_retired
       FROM receipt_keys ORDER BY created_at DESC, kid LIMIT $1`,
    [MAX_KEYS + 1],
  );
  if (rows.length > MAX_KEYS)
    throw new FairtallyError('receipt_keys_full', `there are more than ${String(MAX_KEYS)} receipt keys`);
  return rows;
}

const knownKey = (row: KeyRow): KnownKey => ({
  gameId: row.game_id,
  kid: row.kid,
  jwk: row.public_jwk,
  publicKey: createPublicKey({ key: { ...row.public_jwk }, format: 'jwk' }),
  sealed: row.secret,
  isRetired: row.is_retired,
});

type SealedKey = Pick<KnownKey, 'gameId' | 'kid' | 'sealed'>;

const placeOf = ({ gameId, kid }: Pick<SealedKey, 'gameId' | 'kid'>): SealedPlace => ({
  table: 'receipt_keys',
  gameId,
  keyId: kid,
});
const opens = (key: SealedKey, sealer: Sealer): boolean => sealer.canOpen(key.sealed, placeOf(key));

/**
 * Under the game's lock, so that two processes that find no key make one. A key that was sealed with another master key signs
 * nothing: the next one takes its place, and what it signed stays good.
 */
async function insertKey(sql: Sql, sealer: Sealer, gameId: string, retireOld: boolean): Promise<void> {
  const games = await sql.query('SELECT 1 FROM games WHERE game_id = $1 FOR UPDATE', [gameId]);
  if (games.length === 0)
    throw new FairtallyError('game_unknown', `there is no game "${gameId}"; create it first`);
  const current = await sql.query<{ gameId: string; kid: string; sealed: string }>(
    'SELECT game_id AS "gameId", kid, secret AS sealed FROM receipt_keys WHERE game_id = $1 AND retired_at IS NULL',
    [gameId],
  );
  if (!retireOld && current.some((key) => opens(key, sealer))) return;
  await refuseForeignMasterKey(sql, sealer);
  await sql.query('UPDATE receipt_keys SET retired_at = now() WHERE game_id = $1 AND retired_at IS NULL', [
    gameId,
  ]);
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const { x } = publicKey.export({ format: 'jwk' });
  if (x === undefined) throw new TypeError('an Ed25519 key exports no x');
  const kid = await calculateJwkThumbprint({ kty: 'OKP', crv: 'Ed25519', x });
  const jwk: ReceiptJwk = { kty: 'OKP', crv: 'Ed25519', x, kid, use: 'sig', alg: 'EdDSA' };
  const der = privateKey.export({ format: 'der', type: 'pkcs8' });
  const sealed = sealer.seal(der, placeOf({ gameId, kid }));
  await sql.query(
    'INSERT INTO receipt_keys (game_id, kid, public_jwk, secret, created_at) VALUES ($1, $2, $3, $4, clock_timestamp())',
    [gameId, kid, JSON.stringify(jwk), sealed],
  );
}
