import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import request from 'supertest';
import { composeReads, readRoutes } from '../../cmd/gateway/compose-reads.js';
import { RECEIPT_ISSUER } from '../../cmd/platform.js';
import { MemoryRateLimiter } from '../admission/memory.js';
import type { RateRule } from '../admission/port.js';
import { createDefinitionSource, createDefinitionStore } from '../games/definitions/postgres.js';
import { createKeyRing, type RefreshingKeyRing } from '../games/key-ring/postgres.js';
import { createKeyStore, type KeyStore } from '../games/keys/postgres.js';
import { createReceiptKeys } from '../games/receipt-keys/postgres.js';
import type { Scope } from '../games/port.js';
import { createGameStore } from '../games/tenants/postgres.js';
import { createClientAddress, type TrustedProxies } from '../ingest/client-address.js';
import { DEFAULT_INGEST_LIMITS } from '../ingest/limits.js';
import type { Clock } from '../kernel/clock.js';
import { systemRandom } from '../kernel/random.js';
import { commitBatch } from '../leaderboard/fixtures.js';
import { createProgressionRole } from '../progression/role.js';
import { createReceiptSigner } from '../progression/receipt-signer.js';
import type { Database } from '../postgres/port.js';
import type { Place } from '../query/serve.js';
import { createHealth, type Health } from '../runtime/health.js';
import { createSealer } from '../secrets/seal.js';
import { sign } from '../signing/sign.js';
import { roleEvent } from './admitted-event.js';
import { testDatabase } from './postgres.js';
import { quietLogger, quietMetrics } from './quiet.js';
import { SettableClock } from './settable-clock.js';

/** Far ahead, so that no row is dropped for its age by the clock of the database. */
export const APP_NOW_MS = 2_000_000_000_000;

export interface Signer {
  readonly keyId: string;
  readonly secret: string;
}

const signer = (keyId: string): Signer => ({ keyId, secret: `${keyId}-secret-0123456789abcdef` });

export const SERVER = signer('demo');
export const READER = signer('demo-reader');
export const SENDER = signer('demo-sender');
export const STRANGER = signer('other');

const KEYS: readonly { gameId: string; signer: Signer; scopes: readonly Scope[] }[] = [
  { gameId: 'demo', signer: SERVER, scopes: ['ingest', 'read', 'replay', 'sessions'] },
  { gameId: 'demo', signer: READER, scopes: ['read'] },
  { gameId: 'demo', signer: SENDER, scopes: ['ingest'] },
  { gameId: 'other', signer: STRANGER, scopes: ['ingest', 'read', 'replay', 'sessions'] },
];

export interface Asked {
  readonly as?: Signer | undefined;
  readonly body?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** What is signed instead of what is sent. */
  readonly signed?: { readonly method?: string; readonly target?: string; readonly body?: string };
}

export interface Answered {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Readonly<Record<string, unknown>>;
  readonly text: string;
}

export type Ask = (method: string, target: string, asked?: Asked) => Promise<Answered>;

export interface ReadAppOptions {
  readonly corsOrigins?: readonly string[];
  readonly signedPathPrefix?: string;
  readonly trustProxy?: TrustedProxies;
  readonly addressRate?: RateRule;
  /** What the reads ask instead of the database that holds the seed. */
  readonly db?: Database;
  /** Unless given: the clock of the first app. */
  readonly clock?: Clock;
}

export interface AnotherApp {
  readonly ask: Ask;
  readonly server: Server;
  /** What it serves. */
  readonly places: readonly Place[];
}

/** The Express app of the gateway on a real database that holds games `demo`, `other` (both of the sample) and `bare` (no definition). */
export interface ReadApp {
  readonly clock: SettableClock;
  readonly db: Database;
  readonly keys: KeyStore;
  readonly keyRing: RefreshingKeyRing;
  readonly health: Health;
  readonly ask: Ask;
  /** Another app of the same database. */
  another(options: ReadAppOptions): Promise<AnotherApp>;
  rotateReceiptKey(): Promise<string>;
  close(): Promise<void>;
}

const SAMPLE = readFileSync(new URL('../../sample_events/demo.yaml', import.meta.url), 'utf8');
const PRIVATE_BOARD = `
boards:
  best-gain:
    event: progression
    aggregate: best
    value: deltaXp
    windows: [all-time, daily]
    public: false
`;

export async function startReadApp(): Promise<ReadApp> {
  const database = await testDatabase(5);
  const { db } = database;
  const clock = new SettableClock(APP_NOW_MS);
  const sealer = createSealer([{ id: 'm', key: Buffer.alloc(32, 7) }], systemRandom);
  const keys = createKeyStore({ database: db, sealer, random: systemRandom, clock });
  const games = createGameStore(db, sealer, systemRandom);
  for (const gameId of ['demo', 'other', 'bare']) await games.create({ gameId, dedupeFloor: '2020-01-01' });
  for (const gameId of ['demo', 'other']) {
    const source = SAMPLE.replace('game: demo', `game: ${gameId}`).replace('\nboards:\n', PRIVATE_BOARD);
    await createDefinitionStore(db).apply({ gameId, source, effectiveFromMs: 0, by: 'test' });
  }
  for (const { gameId, signer: key, scopes } of KEYS)
    await keys.create({ gameId, ...key, scopes, notBeforeMs: 0 });
  const keyRing = createKeyRing({
    database: db,
    sealer,
    clock,
    onOverfull: () => undefined,
    onUnreadable: () => undefined,
  });
  await keyRing.refresh();
  const receiptKeys = createReceiptKeys(db, sealer);
  const definitions = createDefinitionSource(db);
  await definitions.refresh();
  const health = createHealth(clock);
  const servers: Server[] = [];

  const another = async (options: ReadAppOptions): Promise<AnotherApp> => {
    const { corsOrigins = [], signedPathPrefix = '', trustProxy = { kind: 'none' }, addressRate } = options;
    const parts = {
      db: options.db ?? db,
      redis: null,
      life: () => 'life',
      clock: options.clock ?? clock,
      random: systemRandom,
      logger: quietLogger,
      metrics: quietMetrics,
      health,
      definitions,
      receiptKeys: options.db === undefined ? receiptKeys : createReceiptKeys(options.db, sealer),
      config: { http: { corsOrigins, signedPathPrefix } },
    };
    const front = {
      keyRing,
      limits: { ...DEFAULT_INGEST_LIMITS, addressRate: addressRate ?? null },
      addressLimiter: new MemoryRateLimiter({ clock }),
      clientAddress: createClientAddress(trustProxy),
    };
    const server = createServer(composeReads(parts, front));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    servers.push(server);
    const places: Place[] = [];
    for (const mount of readRoutes(parts, front)) mount((place) => void places.push(place));
    return { ask: askerOf(server, clock, signedPathPrefix), server, places };
  };

  await seed(db, definitions, receiptKeys);
  const { ask } = await another({});
  return {
    clock,
    db,
    keys,
    keyRing,
    health,
    ask,
    another,
    rotateReceiptKey: () => receiptKeys.rotate('demo'),
    close: async () => {
      for (const server of servers) {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      }
      await database.close();
    },
  };
}

/** XP of p-1 ... p-5 (100, 200 ... in demo; one player in other), a boss and a drop of p-1. */
async function seed(
  db: Database,
  definitions: ReturnType<typeof createDefinitionSource>,
  receiptKeys: ReturnType<typeof createReceiptKeys>,
): Promise<void> {
  const role = createProgressionRole({
    definitions,
    signer: createReceiptSigner({ issuer: RECEIPT_ISSUER, keys: receiptKeys }),
  });
  const demo = await definitions.version('demo', 1);
  const other = await definitions.version('other', 1);
  const tsMs = APP_NOW_MS - 60_000;
  const players = ['p-1', 'p-2', 'a,b', 'naïve 🙂', 'x+y'];
  const events = [
    ...players.map((playerId, n) =>
      roleEvent(demo, {
        id: `x-${String(n)}`,
        playerId,
        tsMs: tsMs + n,
        payload: { deltaXp: 100 * (n + 1) },
      }),
    ),
    roleEvent(demo, { id: 'b-1', tsMs, type: 'boss_kill', payload: { bossId: 'hydra', durationMs: 900 } }),
    roleEvent(demo, { id: 'd-1', tsMs, type: 'drop_claimed', payload: { dropId: 'd-1', itemId: 'potion' } }),
    roleEvent(other, { id: 'o-1', playerId: 'p-other', tsMs, payload: { deltaXp: 7 } }),
  ];
  await db.transaction(async (sql) => role.save(sql, role.fold(await role.load(sql, events), events)));
  await commitBatch(db, events);
}

/** Sends a request and, when someone asks, signs it by the app's clock. */
const askerOf =
  (server: Server, clock: SettableClock, signedPathPrefix: string): Ask =>
  async (method, target, { as, body, headers = {}, signed = {} } = {}) => {
    const timestamp = String(Math.floor(clock.now() / 1000));
    const signature =
      as === undefined
        ? {}
        : {
            'X-Key-Id': as.keyId,
            'X-Timestamp': timestamp,
            'X-Signature': sign({
              method: signed.method ?? method,
              target: signedPathPrefix + (signed.target ?? target),
              keyId: as.keyId,
              timestamp,
              body: signed.body ?? body ?? '',
              secret: as.secret,
            }).signature,
          };
    const client = request(server);
    const verb = method.toLowerCase() as 'get' | 'head' | 'post' | 'delete' | 'options' | 'put' | 'patch';
    const call = client[verb](target).set({
      ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      ...signature,
      ...headers,
    });
    const answer = await (body === undefined ? call : call.send(body));
    return {
      status: answer.status,
      headers: answer.headers,
      body: bodyOf(answer.type, answer.text, answer.body),
      text: answer.text ?? '',
    };
  };

/** supertest does not take problem details for JSON. */
const bodyOf = (type: string, text: string | undefined, body: unknown): Readonly<Record<string, unknown>> =>
  (type === 'application/problem+json' && text !== undefined && text !== ''
    ? JSON.parse(text)
    : body) as Readonly<Record<string, unknown>>;
