import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSignedClient, type SignedClient } from '../client/signed-client.js';
import { createDefinitionStore } from '../games/definitions/postgres.js';
import { createKeyStore } from '../games/keys/postgres.js';
import { createGameStore } from '../games/tenants/postgres.js';
import { systemClock } from '../kernel/clock.js';
import { systemRandom } from '../kernel/random.js';
import { ROLES, type RoleName } from '../kernel/roles.js';
import type { Database } from '../postgres/port.js';
import { createSealer, parseMasterKeys } from '../secrets/seal.js';
import { freePort } from './postgres-server.js';
import { testDatabase } from './postgres.js';
import { built, startProcess, type TestProcess } from './processes.js';

export const DEMO_SECRET = 'a-secret-of-the-tests-0123456789abcdef';

/** Real gateways and workers of the build on one database, with the sample game ready. */
export interface Stack {
  readonly db: Database;
  readonly databaseUrl: string;
  readonly env: Readonly<Record<string, string>>;
  startGateway(port?: number): Promise<{ process: TestProcess; url: string; port: number }>;
  startWorker(roles?: readonly RoleName[], settings?: Readonly<Record<string, string>>): Promise<TestProcess>;
  client(url: string): SignedClient;
  /** Resolves when every role has settled everything published. */
  drained(timeoutMs?: number): Promise<void>;
  close(): Promise<void>;
}

export interface StackOptions {
  readonly redisUrl?: string;
  /** Use this database instead of a fresh one on the shared server. */
  readonly database?: { db: Database; url: string; close(): Promise<void> };
  readonly definition?: string;
  readonly env?: Readonly<Record<string, string>>;
}

const SAMPLE_DEFINITION = new URL('../../sample_events/demo.yaml', import.meta.url);
const DRAIN_MS = 180_000;
const POLL_MS = 50;

export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const database = options.database ?? (await testDatabase(5));
  const { db, url: databaseUrl } = database;
  const masterKey = `t1:${randomBytes(32).toString('base64')}`;
  await seed(db, masterKey, options.definition ?? readFileSync(SAMPLE_DEFINITION, 'utf8'));
  const dataDir = mkdtempSync(join(tmpdir(), 'fairtally-stack-'));
  const env = {
    DATABASE_URL: databaseUrl,
    MASTER_KEY: masterKey,
    DATA_DIR: dataDir,
    METRICS_PORT: '0',
    RATE_LIMIT: 'off',
    LOG_LEVEL: 'info',
    ...(options.redisUrl === undefined ? {} : { REDIS_URL: options.redisUrl }),
    ...options.env,
  };
  const processes: TestProcess[] = [];
  return {
    db,
    databaseUrl,
    env,
    startGateway: async (port) => {
      const chosen = port ?? (await freePort());
      const process = startProcess('gateway', [built('cmd/gateway/main.js')], {
        ...env,
        PORT: String(chosen),
      });
      processes.push(process);
      await process.waitFor(/gateway is ready/);
      return { process, url: `http://127.0.0.1:${String(chosen)}`, port: chosen };
    },
    startWorker: async (roles = ROLES, settings = {}) => {
      const process = startProcess('worker', [built('cmd/worker/main.js')], {
        ...env,
        WORKER_ROLES: roles.join(','),
        ...settings,
      });
      processes.push(process);
      await process.waitFor(/worker is ready/);
      return process;
    },
    client: (url) => createSignedClient({ url, keyId: 'demo', secret: DEMO_SECRET, clock: systemClock }),
    drained: (timeoutMs = DRAIN_MS) => waitDrained(db, timeoutMs),
    close: async () => {
      for (const process of processes) process.kill('SIGKILL');
      await Promise.all(processes.map((process) => process.exited));
      rmSync(dataDir, { recursive: true, force: true });
      await database.close();
    },
  };
}

async function seed(db: Database, masterKey: string, definition: string): Promise<void> {
  const sealer = createSealer(parseMasterKeys(masterKey), systemRandom);
  await createGameStore(db, sealer, systemRandom).create({ gameId: 'demo', dedupeFloor: '1970-01-01' });
  await createDefinitionStore(db).apply({
    gameId: 'demo',
    source: definition,
    effectiveFromMs: 0,
    by: 'test',
  });
  await createKeyStore({ database: db, sealer, random: systemRandom, clock: systemClock }).create({
    gameId: 'demo',
    keyId: 'demo',
    secret: DEMO_SECRET,
    scopes: ['ingest', 'read', 'replay', 'sessions'],
    notBeforeMs: 0,
  });
}

/** Waits for a condition with a bound; the condition decides, never the time. */
export async function eventually(
  condition: () => Promise<boolean>,
  timeoutMs: number,
  what: string,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadline)
      throw new Error(`${what} did not happen within ${String(timeoutMs)} ms`);
    await systemClock.sleep(POLL_MS);
  }
}

const waitDrained = (db: Database, timeoutMs: number): Promise<void> =>
  eventually(
    async () => {
      const [row] = await db.query<{ unread: number }>(
        `SELECT count(*) AS unread FROM unnest($1::text[]) AS r(role) CROSS JOIN bus_lanes l
           LEFT JOIN bus_cursors c ON c.role = r.role AND c.lane = l.lane
          WHERE l.next_position - 1 > coalesce(c.position, 0)`,
        [ROLES],
      );
      return row?.unread === 0;
    },
    timeoutMs,
    'the drain',
  );
