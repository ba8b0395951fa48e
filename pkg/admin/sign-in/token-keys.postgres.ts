import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
} from 'node:crypto';
import type { Clock } from '../../kernel/clock.js';
import { FairtallyError } from '../../kernel/errors.js';
import type { Random } from '../../kernel/random.js';
import type { Sql } from '../../postgres/port.js';
import type { Sealer } from '../../secrets/port.js';
import { INSTALLATION, type Actor, type GameDatabase } from '../port.js';
import { ACCESS_TOKEN_SECONDS, type TokenKeys } from './access-tokens.js';

export interface TokenKeyStore extends TokenKeys {
  /** What refresh tokens follow from one another by; the same in every process of the service, and for good. */
  readonly refreshSecret: Buffer;
  /** Learns what other processes have made, and makes the next key when the newest is 30 days old. For every KEYS_EVERY_MS. */
  refresh(): Promise<void>;
}

export interface TokenKeyDeps {
  /** Acts as fairtally_api. */
  readonly games: Pick<GameDatabase, 'read' | 'upkeep'>;
  readonly sealer: Sealer;
  readonly random: Pick<Random, 'bytes'>;
  readonly clock: Pick<Clock, 'now' | 'monotonicMs'>;
}

export interface SharedTokenKeyDeps extends TokenKeyDeps {
  /** Told once of keys that no master key at hand opens, as `<table> <key id>`. */
  readonly onUnreadable: (secrets: readonly string[]) => void;
}

interface KeyRow {
  readonly kid: string;
  readonly secret: string;
  readonly signsFrom: Date;
  readonly verifiesUntil: Date | null;
}

interface Known {
  readonly kid: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  readonly der: Buffer;
  readonly signsFromMs: number;
  readonly verifiesUntilMs: number;
}

export const KEYS_EVERY_MS = 10_000;
export const ROTATE_AFTER_MS = 30 * 24 * 3_600_000;
/** Until a new key signs: several times as long as any process needs to learn of it. */
export const LEARNT_AFTER_MS = 60_000;
/** The longest token, and what the clocks of processes may differ by. */
const KEPT_AFTER_MS = ACCESS_TOKEN_SECONDS * 1_000 + 300_000;
const KID_BYTES = 12;
const KEYS_MAX = 16;
/** An unknown key id makes us look again, but not for everybody who invents one. */
const LOOK_AGAIN_AFTER_MS = 10_000;
const SERVICE: Actor = { userId: null, name: 'fairtally', requestId: '' };

/**
 * The Ed25519 keys of access tokens, made when there are none; all processes of the service share them. One that was sealed with
 * another master key signs and verifies nothing here.
 */
export async function openTokenKeys(deps: SharedTokenKeyDeps): Promise<TokenKeyStore> {
  const { games, sealer, clock, onUnreadable } = deps;
  let keys: readonly Known[] = [];
  let unreadable: readonly string[] = [];
  let lookedAtMs = -Infinity;
  const look = async (): Promise<void> => {
    lookedAtMs = clock.monotonicMs();
    const rows = await games.read(INSTALLATION, readKeys);
    keys = rows.filter((row) => opens(row, sealer)).map((row) => known(row, sealer));
    const lost = rows.map(({ kid }) => kid).filter((kid) => keys.every((key) => key.kid !== kid));
    const more = lost.filter((kid) => !unreadable.includes(kid));
    unreadable = lost;
    if (more.length > 0) onUnreadable(more.map((kid) => `admin_token_keys ${kid}`));
  };
  const refresh = async (): Promise<void> => {
    await look();
    const newestMs = keys.at(-1)?.signsFromMs ?? -Infinity;
    if (clock.now() - newestMs < ROTATE_AFTER_MS) return;
    await rotateTokenKeys({ actor: SERVICE, onlyWhenOld: true, atOnce: false }, deps);
    await look();
  };
  await refresh();
  const refreshSecret = await ensureRefreshSecret(keys[0], deps);
  return {
    refresh,
    refreshSecret,
    current() {
      const nowMs = clock.now();
      // Of a process whose clock is behind no key may have begun: the newest is one that holds.
      const key =
        keys.findLast((one) => one.signsFromMs <= nowMs && nowMs < one.verifiesUntilMs) ?? keys.at(-1);
      if (key === undefined) throw new Error('there is no key of access tokens');
      return key;
    },
    async publicKey(kid) {
      const isKnown = keys.some((key) => key.kid === kid);
      if (!isKnown && clock.monotonicMs() - lookedAtMs > LOOK_AGAIN_AFTER_MS) await look();
      const key = keys.find((one) => one.kid === kid);
      return key !== undefined && clock.now() < key.verifiesUntilMs ? key.publicKey : null;
    },
  };
}

export interface Rotation {
  readonly actor: Actor;
  /** Does nothing when the newest key is younger than 30 days. */
  readonly onlyWhenOld: boolean;
  /** Tokens of the old keys end now, for keys that somebody else may have: whoever is signed in refreshes. */
  readonly atOnce: boolean;
}

/**
 * Makes the key that signs next. Of several processes that find it time one does it. The old keys verify until the last
 * token of theirs has died, and are forgotten when the next rotation comes.
 *
 * @returns from when on it signs; null: it was not time
 * @throws FairtallyError `too_many_token_keys`
 */
export function rotateTokenKeys(
  { actor, onlyWhenOld, atOnce }: Rotation,
  { games, sealer, random, clock }: TokenKeyDeps,
): Promise<{ readonly kid: string; readonly signsFromMs: number } | null> {
  return games.upkeep(INSTALLATION, actor, async ({ sql, audit }) => {
    await lockKeys(sql);
    const nowMs = clock.now();
    await sql.query('DELETE FROM admin_token_keys WHERE verifies_until < $1', [new Date(nowMs)]);
    const keys = await readKeys(sql);
    const readable = keys.filter((row) => opens(row, sealer));
    const newestMs = readable.at(-1)?.signsFrom.getTime() ?? -Infinity;
    if (onlyWhenOld && nowMs - newestMs < ROTATE_AFTER_MS) return null;
    if (keys.length >= KEYS_MAX)
      throw new FairtallyError(
        'too_many_token_keys',
        'the keys changed too often: try again in half an hour',
      );
    const signsFromMs = atOnce || readable.length === 0 ? nowMs : nowMs + LEARNT_AFTER_MS;
    const endMs = atOnce ? nowMs : signsFromMs + KEPT_AFTER_MS;
    await sql.query('UPDATE admin_token_keys SET verifies_until = least(coalesce(verifies_until, $1), $1)', [
      new Date(endMs),
    ]);
    const kid = random.bytes(KID_BYTES).toString('base64url');
    const der = generateKeyPairSync('ed25519').privateKey.export({ format: 'der', type: 'pkcs8' });
    await sql.query('INSERT INTO admin_token_keys (kid, secret, signs_from) VALUES ($1, $2, $3)', [
      kid,
      sealer.seal(der, placeOf(kid)),
      new Date(signsFromMs),
    ]);
    audit({ action: 'token_keys.rotate', subject: `key ${kid}`, details: { atOnce, signsFromMs } });
    return { kid, signsFromMs };
  });
}

/** Until the transaction ends nobody else changes the keys. */
const lockKeys = (sql: Sql): Promise<object[]> =>
  sql.query("SELECT pg_advisory_xact_lock(hashtextextended('fairtally.admin_token_keys', 0))");

/** In the order in which they sign. */
const readKeys = (sql: Sql): Promise<KeyRow[]> =>
  sql.query<KeyRow>(
    `SELECT kid, secret, signs_from AS "signsFrom", verifies_until AS "verifiesUntil"
       FROM admin_token_keys ORDER BY signs_from, kid LIMIT $1`,
    [KEYS_MAX + 1],
  );

const placeOf = (kid: string): Parameters<Sealer['seal']>[1] => ({
  table: 'admin_token_keys',
  gameId: '',
  keyId: kid,
});

const opens = ({ kid, secret }: KeyRow, sealer: Sealer): boolean => sealer.canOpen(secret, placeOf(kid));

function known({ kid, secret, signsFrom, verifiesUntil }: KeyRow, sealer: Sealer): Known {
  const der = sealer.open(secret, placeOf(kid));
  const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  return {
    kid,
    privateKey,
    publicKey: createPublicKey(privateKey),
    der,
    signsFromMs: signsFrom.getTime(),
    verifiesUntilMs: verifiesUntil?.getTime() ?? Infinity,
  };
}

const REFRESH_PLACE = { table: 'admin_refresh_secret', gameId: '', keyId: 'refresh' };

/** The first one follows from the oldest key, as it did before there was a secret of its own: sessions of then go on. */
const ensureRefreshSecret = (
  oldest: Known | undefined,
  { games, sealer }: Pick<TokenKeyDeps, 'games' | 'sealer'>,
): Promise<Buffer> =>
  games.upkeep(INSTALLATION, SERVICE, async ({ sql }) => {
    await lockKeys(sql);
    const read = 'SELECT secret FROM admin_refresh_secret';
    const [kept] = await sql.query<{ secret: string }>(read);
    if (kept !== undefined) return sealer.open(kept.secret, REFRESH_PLACE);
    if (oldest === undefined) throw new Error('there is no key of access tokens');
    const secret = Buffer.from(hkdfSync('sha256', oldest.der, '', 'fairtally refresh tokens', 32));
    const sealed = sealer.seal(secret, REFRESH_PLACE);
    await sql.query('INSERT INTO admin_refresh_secret (secret) VALUES ($1)', [sealed]);
    return secret;
  });
