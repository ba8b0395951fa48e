import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { ClientAnswer, SignedClient } from '../client/signed-client.js';
import { systemClock } from '../kernel/clock.js';
import { testDatabase } from './postgres.js';
import { startRedisServer, type RedisServer } from './redis-server.js';
import { eventually, startStack, type Stack } from './stack.js';
import { startTcpProxy, type TcpProxy } from './tcp-proxy.js';

const WAIT_MS = 90_000;

let server: RedisServer;
let redis: TcpProxy;
let postgres: TcpProxy;
let stack: Stack;
let client: SignedClient;
let url: string;

beforeAll(async () => {
  const database = await testDatabase(2);
  server = await startRedisServer();
  const databaseUrl = new URL(database.url);
  [redis, postgres] = [await startTcpProxy(server.port), await startTcpProxy(Number(databaseUrl.port))];
  databaseUrl.port = String(postgres.port);
  stack = await startStack({
    redisUrl: `redis://127.0.0.1:${String(redis.port)}`,
    database: { ...database, url: databaseUrl.toString() },
  });
  const [gateway] = await Promise.all([stack.startGateway(), stack.startWorker()]);
  url = gateway.url;
  client = stack.client(url);
}, 240_000);

afterAll(async () => {
  client.close();
  await stack.close();
  await Promise.all([redis.close(), postgres.close(), server.stop()]);
}, 60_000);

const post = (id: string): Promise<ClientAnswer> =>
  client.send('POST', '/v1/events', {
    idempotencyKey: id,
    body: JSON.stringify({
      id,
      type: 'progression',
      playerId: 'p-1',
      ts: systemClock.now(),
      payload: { deltaXp: 10, activity: 'quest' },
    }),
  });

interface Board {
  readonly stale: boolean;
  readonly entries: readonly { readonly score: number }[];
}
const board = async (): Promise<Board> =>
  (await (await fetch(`${url}/v1/leaderboards/xp?window=all-time`)).json()) as Board;

const shows = (score: number, stale: boolean): Promise<void> =>
  eventually(
    async () => {
      const seen = await board();
      return seen.stale === stale && seen.entries[0]?.score === score;
    },
    WAIT_MS,
    `a board of ${String(score)} points, ${stale ? 'from the truth' : 'from the view'}`,
  );

test('row 39: while Redis is away gateway and worker go on, the board comes from the truth and says so, and is whole again after', async () => {
  expect((await post('before')).status).toBe(202);
  await shows(10, false);
  await redis.down();
  expect((await post('without')).status).toBe(202);
  await shows(20, true);
  await redis.up();
  await shows(20, false);
});

test('row 39: so they do while it is frozen, connected and silent', async () => {
  await shows(20, false);
  server.freeze();
  try {
    expect((await post('frozen')).status).toBe(202);
    await shows(30, true);
  } finally {
    server.thaw();
  }
  await shows(30, false);
});

test('rows 41 and 45: while PostgreSQL is away events are 503 with Retry-After and nothing is given up; after it the same request counts once', async () => {
  await postgres.down();
  const refused = await post('kept');
  expect(refused.status).toBe(503);
  expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
  expect(JSON.parse(refused.text)).toMatchObject({ retryable: true });
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  await eventually(async () => (await fetch(`${url}/readyz`)).status === 503, WAIT_MS, 'not ready');
  await postgres.up();
  await eventually(async () => (await post('kept')).status === 202, WAIT_MS, 'the event was taken');
  await shows(40, false);
  await stack.drained();
  expect(await stack.db.query('SELECT * FROM dead_letters')).toEqual([]);
  expect(await stack.db.query("SELECT * FROM events WHERE event_id = 'kept'")).toHaveLength(1);
});
