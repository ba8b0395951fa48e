import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createDefinitionStore } from '../pkg/games/definitions/postgres.js';
import { createKeyStore } from '../pkg/games/keys/postgres.js';
import { createGameStore } from '../pkg/games/tenants/postgres.js';
import { systemClock } from '../pkg/kernel/clock.js';
import { systemRandom } from '../pkg/kernel/random.js';
import type { Database } from '../pkg/postgres/port.js';
import { createSealer, parseMasterKeys } from '../pkg/secrets/seal.js';
import { freePort } from '../pkg/testkit/postgres-server.js';
import { built, startProcess, type TestProcess } from '../pkg/testkit/processes.js';
import { startRedisServer, type RedisServer } from '../pkg/testkit/redis-server.js';
import { DEMO_SECRET, eventually, startStack, type Stack } from '../pkg/testkit/stack.js';
import { fillGame, placesOf, type GameSize } from './admin-rows.js';
import type { Subjects } from './admin-reads.js';
import { Asker } from './asker.js';
import type { Bench } from './bench.js';
import { freshDatabase } from './servers.js';

/** Two games side by side in one database; the first is what the other is held against. */
export const SMALL: GameSize = { gameId: 'small', keyId: 'small', players: 1_000, events: 1_000, rows: 100 };
export const GREAT: GameSize = {
  gameId: 'demo',
  keyId: 'demo',
  players: 1_000_000,
  events: 1_000_000,
  rows: 30_000,
};

const SAMPLE = new URL('../../sample_events/demo.yaml', import.meta.url);
const PLACES = 300;
/** Of one statement that makes a million rows, also where the machine has other things to do. */
const FILL_MS = 600_000;
const COUNTED_MS = 60_000;

/** The admin service and a gateway as processes on a filled database, somebody signed in. */
export interface Stand {
  readonly stack: Stack;
  readonly redis: RedisServer;
  readonly admin: TestProcess;
  readonly adminAsker: Asker;
  /** What a request is sent with: an address of its own, so that the bench is an office of many people. */
  readonly headers: () => Record<string, string>;
  readonly gatewayUrl: string;
  readonly subjects: ReadonlyMap<string, Subjects>;
  readonly rebuilt: ReadonlyMap<string, { readonly seconds: number }>;
  close(): Promise<void>;
}

export async function openStand(bench: Bench): Promise<Stand> {
  const servers = await bench.servers();
  const database = await freshDatabase(servers.postgres, 4, FILL_MS);
  // Of its own: it is killed.
  const redis = await startRedisServer();
  const stack = await startStack({ database, redisUrl: redis.url, env: { TRUST_PROXY: '1' } });
  await addGame(stack, SMALL);
  const subjects = new Map<string, Subjects>();
  for (const size of [SMALL, GREAT]) {
    bench.tell(`admin: filling a game of ${size.players.toLocaleString('en-US')} players`);
    await fillGame(stack.db, size);
  }
  await stack.db.query('VACUUM ANALYZE');
  for (const size of [SMALL, GREAT]) subjects.set(size.gameId, await subjectsOf(stack.db, size));
  const rebuilt = new Map<string, { seconds: number }>();
  for (const { gameId } of [SMALL, GREAT]) rebuilt.set(gameId, await rebuild(bench, stack, gameId));
  const port = await freePort();
  const adminUrl = `http://127.0.0.1:${String(port)}`;
  const env = { ...stack.env, ADMIN_PORT: String(port) };
  const admin = startProcess('admin', [...bench.nodeArgs, built('cmd/admin/main.js')], env);
  await admin.waitFor(/admin is ready/);
  const gateway = await stack.startGateway();
  const adminAsker = new Asker(adminUrl, 16);
  const token = await signIn(stack, adminAsker);
  await eventually(() => isCounted(stack.db), COUNTED_MS, 'the minutes of the pipeline');
  let asked = 0;
  return {
    stack,
    redis,
    admin,
    adminAsker,
    headers: () => {
      asked += 1;
      return {
        Authorization: `Bearer ${token}`,
        'X-Forwarded-For': `10.0.${String((asked >> 8) % 256)}.${String(asked % 256)}`,
      };
    },
    gatewayUrl: gateway.url,
    subjects,
    rebuilt,
    close: async () => {
      adminAsker.close();
      admin.kill('SIGTERM');
      await admin.exited;
      await stack.close();
      await redis.stop();
    },
  };
}

async function addGame({ db, env }: Stack, { gameId, keyId }: GameSize): Promise<void> {
  const sealer = createSealer(parseMasterKeys(env['MASTER_KEY'] ?? ''), systemRandom);
  await createGameStore(db, sealer, systemRandom).create({ gameId, dedupeFloor: '1970-01-01' });
  const source = readFileSync(SAMPLE, 'utf8').replace('game: demo\n', '');
  await createDefinitionStore(db).apply({ gameId, source, effectiveFromMs: 0, by: 'bench' });
  const keys = createKeyStore({ database: db, sealer, random: systemRandom, clock: systemClock });
  await keys.create({ gameId, keyId, secret: DEMO_SECRET, scopes: ['read'], notBeforeMs: 0 });
}

async function subjectsOf(db: Database, size: GameSize): Promise<Subjects> {
  const ids = async (table: string, column: string): Promise<number[]> =>
    (
      await db.query<{ id: number }>(
        `SELECT ${column} AS id FROM ${table} WHERE game_id = $1 ORDER BY ${column} % 97, 1 LIMIT ${String(PLACES)}`,
        [size.gameId],
      )
    ).map(({ id }) => id);
  return {
    ...size,
    places: [...(await placesOf(db, size, PLACES))],
    findingIds: await ids(
      'suspicious_events f JOIN fairness_samples s USING (game_id, identity)',
      'finding_id',
    ),
    caseIds: await ids('cases', 'case_id'),
    letterIds: await ids('dead_letters', 'id'),
  };
}

/** `fairtally rebuild`: a process of its own, its start included. */
async function rebuild(bench: Bench, { env }: Stack, gameId: string): Promise<{ seconds: number }> {
  bench.tell(`admin: building the view of ${gameId}`);
  const beganMs = performance.now();
  await runCommand(env, ['rebuild', '--game', gameId, '--board', 'xp']);
  return { seconds: (performance.now() - beganMs) / 1000 };
}

async function runCommand(env: Stack['env'], args: readonly string[]): Promise<void> {
  const command = startProcess('fairtally', [built('cmd/fairtally/main.js'), ...args], env);
  const { code } = await command.exited;
  if (code !== 0)
    throw new Error(`fairtally ${args.join(' ')} ended with ${String(code)}: ${command.output()}`);
}

/** As people do: a password, then the token of the answer. */
async function signIn({ env }: Stack, asker: Asker): Promise<string> {
  await runCommand(env, ['admin', 'reset']);
  const password = readFileSync(join(env['DATA_DIR'] ?? '', 'secrets', 'admin.password'), 'utf8').trim();
  const answer = await asker.ask(
    '/admin/v1/auth/login',
    { 'Content-Type': 'application/json', 'X-Fairtally-Request': '1' },
    { method: 'POST', body: JSON.stringify({ username: 'admin', password }) },
  );
  return (JSON.parse(answer.text) as { accessToken: string }).accessToken;
}

/** Whether the service has counted the day that was put there; it does so once, and meanwhile it is busy. */
async function isCounted(db: Database): Promise<boolean> {
  const rows = await db.query(
    "SELECT 1 FROM pipeline_rolled_up WHERE through > now() - interval '5 minutes'",
  );
  return rows.length > 0;
}
