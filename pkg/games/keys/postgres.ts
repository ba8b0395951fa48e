import { timingSafeEqual } from 'node:crypto';
import { KEYS_LISTED_MAX } from '../../contract/keys-listed.js';
import { REPLAY_KEY_PREFIX } from '../../contract/replay-key.js';
import { FairtallyError } from '../../kernel/errors.js';
import type { Clock } from '../../kernel/clock.js';
import type { Random } from '../../kernel/random.js';
import type { Database, Sql } from '../../postgres/port.js';
import type { SealedPlace, Sealer } from '../../secrets/port.js';
import type { Scheme, Scope, SigningKey } from '../port.js';

export interface NewKey {
  readonly gameId: string;
  /** `[A-Za-z0-9_-]{1,64}`, unique over all games, not as those of replays; made when not given. */
  readonly keyId?: string;
  /** It signs one replay and nothing else, which its id tells. */
  readonly isForReplay?: boolean;
  /** 16 to 256 bytes; made (256 random bits) when not given. */
  readonly secret?: string;
  readonly scopes: readonly Scope[];
  readonly schemes?: readonly Scheme[];
  readonly trust?: SigningKey['trust'];
  readonly debug?: boolean;
  /** Now when not given. */
  readonly notBeforeMs?: number;
  /** For ever when not given. */
  readonly notAfterMs?: number;
}

/** The only time a secret is shown. */
export interface IssuedKey {
  readonly keyId: string;
  readonly secret: string;
}

export type KeyDescription = Omit<SigningKey, 'secret' | 'scopes' | 'schemes'> & {
  readonly scopes: readonly Scope[];
  readonly schemes: readonly Scheme[];
  readonly createdAtMs: number;
  /** The key that it was rotated to. */
  readonly replacedBy: string | null;
};

/** The signing keys of games. Gateways learn of a change within a few seconds (key-ring). */
export interface KeyStore {
  /** @throws FairtallyError `invalid_key`, `key_reserved`, `key_exists`, `game_unknown` */
  create(key: NewKey): Promise<IssuedKey>;
  /**
   * A new key like an old one, which stays valid for the overlap (never longer than it was to be). A key has one successor.
   *
   * @throws FairtallyError `key_unknown`; `key_replaced` when it has one; `key_not_valid` when it is revoked or retired already
   */
  rotate(keyId: string, overlapMs: number): Promise<IssuedKey & { readonly retiresAtMs: number }>;
  /**
   * The key is valid until then and no longer; never longer than it was to be. Answers its end.
   *
   * @throws FairtallyError `key_unknown`; `key_not_valid` when the key has ended already: nothing brings it back
   */
  retire(keyId: string, atMs: number): Promise<{ readonly retiresAtMs: number }>;
  /** The key is invalid at once and for good. @throws FairtallyError `key_unknown` */
  revoke(keyId: string): Promise<void>;
  /** Whether a key has this secret. @throws FairtallyError `key_unknown`, `secret_unreadable` */
  hasSecret(keyId: string, secret: string): Promise<boolean>;
  /** Gives a key another secret at once; whoever signs with the old one is refused. @throws FairtallyError `key_unknown`, `invalid_key` */
  replaceSecret(keyId: string, secret: string): Promise<void>;
  /** One key, however many there are; null when there is none of this id. Never a secret. */
  find(keyId: string): Promise<KeyDescription | null>;
  /** Those that have not ended first, then the newest: at most `KEYS_LISTED_MAX`, of one game or of all; never a secret. */
  list(gameId?: string): Promise<readonly KeyDescription[]>;
}

export interface KeyStoreParts {
  readonly database: Database;
  readonly sealer: Sealer;
  readonly random: Pick<Random, 'bytes'>;
  readonly clock: Pick<Clock, 'now'>;
}

const KEY_COLUMNS =
  'key_id, game_id, scopes, schemes, trust, debug, not_before, not_after, revoked_at, created_at, replaced_by';

export function createKeyStore({ database, sealer, random, clock }: KeyStoreParts): KeyStore {
  const newKey = (key: NewKey): KeyToInsert => {
    const keyId = key.keyId ?? madeKeyId(key, random);
    const secret = key.secret ?? random.bytes(32).toString('base64url');
    return {
      schemes: ['v1'],
      trust: 'server',
      debug: false,
      isForReplay: false,
      notBeforeMs: clock.now(),
      ...key,
      keyId,
      secret,
    };
  };
  return {
    async create(key) {
      const whole = newKey(key);
      refuseWrong(whole);
      await insertKey(database, sealer, whole);
      return { keyId: whole.keyId, secret: whole.secret };
    },
    rotate: (keyId, overlapMs) =>
      database.transaction(async (sql) => {
        const nowMs = clock.now();
        const old = await lockValidKey(sql, keyId, nowMs);
        if (old.replacedBy !== null) throw keyReplaced(old.keyId, old.replacedBy);
        const { gameId, scopes, schemes, trust, debug } = old;
        const next = newKey({ gameId, scopes, schemes, trust, debug });
        await insertKey(sql, sealer, next);
        await sql.query('UPDATE signing_keys SET replaced_by = $2 WHERE key_id = $1', [keyId, next.keyId]);
        const retiresAtMs = await endBy(sql, old, nowMs + overlapMs);
        return { keyId: next.keyId, secret: next.secret, retiresAtMs };
      }),
    retire: (keyId, atMs) =>
      database.transaction(async (sql) => {
        const old = await lockValidKey(sql, keyId, clock.now());
        return { retiresAtMs: await endBy(sql, old, atMs) };
      }),
    async revoke(keyId) {
      const text =
        'UPDATE signing_keys SET revoked_at = coalesce(revoked_at, $2) WHERE key_id = $1 RETURNING key_id';
      if ((await database.query(text, [keyId, new Date(clock.now())])).length === 0) throw keyUnknown(keyId);
    },
    async hasSecret(keyId, secret) {
      const { gameId, sealed } = await sealedSecret(database, keyId);
      const stored = sealer.open(sealed, placeOf(gameId, keyId));
      const given = Buffer.from(secret, 'utf8');
      return stored.length === given.length && timingSafeEqual(stored, given);
    },
    async replaceSecret(keyId, secret) {
      refuseSecret(secret);
      const { gameId } = await sealedSecret(database, keyId);
      const sealed = sealer.seal(Buffer.from(secret, 'utf8'), placeOf(gameId, keyId));
      await database.query('UPDATE signing_keys SET secret = $2 WHERE key_id = $1', [keyId, sealed]);
    },
    find: (keyId) => findKey(database, keyId),
    async list(gameId) {
      const rows = await database.query<KeyRow>(
        `SELECT ${KEY_COLUMNS} FROM signing_keys WHERE $1::text IS NULL OR game_id = $1
          ORDER BY (revoked_at IS NULL AND (not_after IS NULL OR not_after > $2)) DESC, created_at DESC, key_id LIMIT $3`,
        [gameId ?? null, new Date(clock.now()), KEYS_LISTED_MAX],
      );
      return rows.map(describe);
    },
  };
}

type KeyToInsert = Required<Omit<NewKey, 'notAfterMs'>> & Pick<NewKey, 'notAfterMs'>;

const KEY_ID = /^[A-Za-z0-9_-]{1,64}$/;
const MIN_SECRET_BYTES = 16;
const MAX_SECRET_BYTES = 256;
const SCOPES: ReadonlySet<string> = new Set<Scope>(['ingest', 'read', 'replay', 'sessions']);
const SCHEMES: ReadonlySet<string> = new Set<Scheme>(['v1', 'plain-timestamp', 'plain-body']);

/** Begins with the game, unless it would then look like a key of replays. */
function madeKeyId({ gameId, isForReplay = false }: NewKey, random: Pick<Random, 'bytes'>): string {
  if (isForReplay) return `${REPLAY_KEY_PREFIX}${random.bytes(8).toString('hex')}`;
  const keyId = `${gameId}-${random.bytes(4).toString('hex')}`;
  return keyId.startsWith(REPLAY_KEY_PREFIX) ? `key-${random.bytes(8).toString('hex')}` : keyId;
}

const refuse = (why: string): never => {
  throw new FairtallyError('invalid_key', why);
};

function refuseSecret(secret: string): void {
  const secretBytes = Buffer.byteLength(secret);
  if (secretBytes >= MIN_SECRET_BYTES && secretBytes <= MAX_SECRET_BYTES) return;
  refuse(`a secret must have ${String(MIN_SECRET_BYTES)} to ${String(MAX_SECRET_BYTES)} bytes`);
}

/** Messages name the part, never the secret. */
function refuseWrong(key: KeyToInsert): void {
  if (!KEY_ID.test(key.keyId)) refuse('a key id must match [A-Za-z0-9_-]{1,64}');
  if (key.keyId.startsWith(REPLAY_KEY_PREFIX) !== key.isForReplay)
    throw new FairtallyError(
      'key_reserved',
      `key ids that begin with "${REPLAY_KEY_PREFIX}" are those of replays; choose another`,
    );
  refuseSecret(key.secret);
  if (key.scopes.length === 0 || !key.scopes.every((scope) => SCOPES.has(scope))) {
    refuse(`scopes must be some of ${[...SCOPES].join(', ')}`);
  }
  if (key.schemes.length === 0 || !key.schemes.every((scheme) => SCHEMES.has(scheme))) {
    refuse(`schemes must be some of ${[...SCHEMES].join(', ')}`);
  }
  if (key.notAfterMs !== undefined && key.notAfterMs <= key.notBeforeMs)
    refuse('a key must end after it begins');
}

const placeOf = (gameId: string, keyId: string): SealedPlace => ({ table: 'signing_keys', gameId, keyId });

async function sealedSecret(sql: Sql, keyId: string): Promise<{ gameId: string; sealed: string }> {
  const rows = await sql.query<{ gameId: string; sealed: string }>(
    'SELECT game_id AS "gameId", secret AS sealed FROM signing_keys WHERE key_id = $1',
    [keyId],
  );
  if (rows[0] === undefined) throw keyUnknown(keyId);
  return rows[0];
}

/** A key's secret, for a process that signs with it itself. @throws FairtallyError `key_unknown`, `secret_unreadable` */
export async function secretOfKey(sql: Sql, sealer: Sealer, keyId: string): Promise<string> {
  const { gameId, sealed } = await sealedSecret(sql, keyId);
  return sealer.open(sealed, placeOf(gameId, keyId)).toString('utf8');
}

async function insertKey(sql: Sql, sealer: Sealer, key: KeyToInsert): Promise<void> {
  const sealed = sealer.seal(Buffer.from(key.secret, 'utf8'), placeOf(key.gameId, key.keyId));
  const rows = await sql.query<{ game_exists: boolean; inserted: boolean }>(
    `WITH game AS (SELECT game_id FROM games WHERE game_id = $2), inserted AS (
       INSERT INTO signing_keys (key_id, game_id, secret, scopes, schemes, trust, debug, not_before, not_after)
       SELECT $1, game_id, $3, $4::text[], $5::text[], $6, $7, $8, $9 FROM game
       ON CONFLICT DO NOTHING RETURNING key_id)
     SELECT EXISTS (SELECT FROM game) AS game_exists, EXISTS (SELECT FROM inserted) AS inserted`,
    [
      key.keyId,
      key.gameId,
      sealed,
      key.scopes,
      key.schemes,
      key.trust,
      key.debug,
      new Date(key.notBeforeMs),
      key.notAfterMs === undefined ? null : new Date(key.notAfterMs),
    ],
  );
  if (rows[0]?.game_exists !== true)
    throw new FairtallyError('game_unknown', `there is no game "${key.gameId}"; create it first`);
  if (!rows[0].inserted)
    throw new FairtallyError('key_exists', `key id "${key.keyId}" is taken; choose another`);
}

const keyUnknown = (keyId: string): FairtallyError =>
  new FairtallyError('key_unknown', `there is no key "${keyId}"`);

const keyReplaced = (keyId: string, by: string): FairtallyError =>
  new FairtallyError(
    'key_replaced',
    `key "${keyId}" was rotated to "${by}" already; rotate that one, or create a new one`,
  );

async function findKey(sql: Sql, keyId: string): Promise<KeyDescription | null> {
  const text = `SELECT ${KEY_COLUMNS} FROM signing_keys WHERE key_id = $1`;
  const [row] = await sql.query<KeyRow>(text, [keyId]);
  return row === undefined ? null : describe(row);
}

async function lockValidKey(sql: Sql, keyId: string, nowMs: number): Promise<KeyDescription> {
  const rows = await sql.query<KeyRow>(
    `SELECT ${KEY_COLUMNS} FROM signing_keys WHERE key_id = $1 FOR UPDATE`,
    [keyId],
  );
  const key = rows[0] === undefined ? undefined : describe(rows[0]);
  if (key === undefined) throw keyUnknown(keyId);
  if (key.revokedAtMs !== null || (key.notAfterMs !== null && key.notAfterMs <= nowMs)) {
    throw new FairtallyError(
      'key_not_valid',
      `key "${keyId}" has ended already (revoked or retired), for good; create a new one`,
    );
  }
  return key;
}

/** Only ever shortens the life of a locked key. Answers its end. */
async function endBy(sql: Sql, { keyId, notAfterMs }: KeyDescription, atMs: number): Promise<number> {
  const endsAtMs = Math.min(atMs, notAfterMs ?? Infinity);
  await sql.query('UPDATE signing_keys SET not_after = $2 WHERE key_id = $1', [keyId, new Date(endsAtMs)]);
  return endsAtMs;
}

interface KeyRow {
  readonly key_id: string;
  readonly game_id: string;
  readonly scopes: Scope[];
  readonly schemes: Scheme[];
  readonly trust: SigningKey['trust'];
  readonly debug: boolean;
  readonly not_before: Date;
  readonly not_after: Date | null;
  readonly revoked_at: Date | null;
  readonly created_at: Date;
  readonly replaced_by: string | null;
}

const describe = (row: KeyRow): KeyDescription => ({
  keyId: row.key_id,
  gameId: row.game_id,
  scopes: row.scopes,
  schemes: row.schemes,
  trust: row.trust,
  debug: row.debug,
  notBeforeMs: row.not_before.getTime(),
  notAfterMs: row.not_after?.getTime() ?? null,
  revokedAtMs: row.revoked_at?.getTime() ?? null,
  createdAtMs: row.created_at.getTime(),
  replacedBy: row.replaced_by,
});
