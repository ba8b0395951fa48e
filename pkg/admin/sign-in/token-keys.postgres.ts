import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
} from 'node:crypto';
import type { Clock } from '../../kernel/clock.js';
import type { Random } from '../../kernel/random.js';
import type { Database, Sql } from '../../postgres/port.js';
import type { Sealer } from '../../secrets/port.js';
import type { TokenKeys } from './access-tokens.js';

export interface TokenKeyStore extends TokenKeys {
  /** What refresh tokens follow from one another by; the same in every process of the service. */
  readonly refreshSecret: Buffer;
}

interface KeyRow {
  readonly kid: string;
  readonly secret: string;
}

interface Known {
  readonly kid: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  readonly der: Buffer;
}

const KID_BYTES = 12;
const KEYS_MAX = 16;
/** An unknown key id makes us look again, but not for everybody who invents one. */
const LOOK_AGAIN_AFTER_MS = 10_000;

export interface TokenKeyDeps {
  readonly db: Database;
  readonly sealer: Sealer;
  readonly random: Pick<Random, 'bytes'>;
  readonly clock: Pick<Clock, 'monotonicMs'>;
}

/** The Ed25519 key of access tokens, made when there is none; all processes of the service share it. */
export async function openTokenKeys({ db, sealer, random, clock }: TokenKeyDeps): Promise<TokenKeyStore> {
  const read = async (): Promise<ReadonlyMap<string, Known>> =>
    new Map((await readKeys(db)).map((row) => [row.kid, known(row, sealer)]));
  await ensureKey(db, sealer, random);
  let keys = await read();
  let lookedAtMs = clock.monotonicMs();
  const [current] = [...keys.values()];
  if (current === undefined) throw new Error('the key of access tokens could not be made');
  return {
    kid: current.kid,
    privateKey: current.privateKey,
    refreshSecret: Buffer.from(hkdfSync('sha256', current.der, '', 'fairtally refresh tokens', 32)),
    async publicKey(kid) {
      if (!keys.has(kid) && clock.monotonicMs() - lookedAtMs > LOOK_AGAIN_AFTER_MS) {
        lookedAtMs = clock.monotonicMs();
        keys = await read();
      }
      return keys.get(kid)?.publicKey ?? null;
    },
  };
}

/** Oldest first. */
const readKeys = (sql: Sql): Promise<KeyRow[]> =>
  sql.query<KeyRow>('SELECT kid, secret FROM admin_token_keys ORDER BY created_at, kid LIMIT $1', [KEYS_MAX]);

const placeOf = (kid: string): Parameters<Sealer['seal']>[1] => ({
  table: 'admin_token_keys',
  gameId: '',
  keyId: kid,
});

function known({ kid, secret }: KeyRow, sealer: Sealer): Known {
  const der = sealer.open(secret, placeOf(kid));
  const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  return { kid, privateKey, publicKey: createPublicKey(privateKey), der };
}

/** Of two processes that find none, one makes it. */
const ensureKey = (db: Database, sealer: Sealer, random: Pick<Random, 'bytes'>): Promise<void> =>
  db.transaction(async (sql) => {
    await sql.query("SELECT pg_advisory_xact_lock(hashtextextended('fairtally.admin_token_keys', 0))");
    if ((await readKeys(sql)).length > 0) return;
    const kid = random.bytes(KID_BYTES).toString('base64url');
    const der = generateKeyPairSync('ed25519').privateKey.export({ format: 'der', type: 'pkcs8' });
    await sql.query('INSERT INTO admin_token_keys (kid, secret) VALUES ($1, $2)', [
      kid,
      sealer.seal(der, placeOf(kid)),
    ]);
  });
