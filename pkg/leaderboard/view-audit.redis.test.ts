import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Redis } from 'ioredis';
import { createRedisClient, redisReady } from '../redis/client.js';
import { roleEvent } from '../testkit/admitted-event.js';
import { testDatabase, type TestDatabase } from '../testkit/postgres.js';
import { quietLogger } from '../testkit/quiet.js';
import { startRedisServer, type RedisServer } from '../testkit/redis-server.js';
import { commitBatch, definitionWith, handClock, NOON_MS, testBoard } from './fixtures.js';
import { setHidden } from './hide.js';
import { postgresPlayerStates } from './hide.postgres.js';
import { redisBoardView } from './redis.js';
import { redisStoredRows } from './stored.redis.js';
import { postgresBoardTruth } from './truth.postgres.js';
import { auditViews, type ViewDifference } from './view-audit.js';
import { BoardView } from './view.js';

const GAME = 'audited';
const board = testBoard();
const definition = definitionWith(GAME, board);
const events = Array.from({ length: 900 }, (_, i) =>
  roleEvent(definition, {
    id: `e${String(i)}`,
    playerId: `p${String(i)}`,
    tsMs: NOON_MS + i,
    payload: { deltaXp: i + 1 },
  }),
);

let database: TestDatabase;
let server: RedisServer;
let redis: Redis;
beforeAll(async () => {
  [database, server] = await Promise.all([testDatabase(), startRedisServer()]);
  redis = createRedisClient({ url: server.url });
  await redisReady(redis, 5_000);
  const view = new BoardView({
    truth: postgresBoardTruth(database.db),
    store: redisBoardView(redis, quietLogger, () => 'life'),
    definitions: { version: () => Promise.resolve(definition) },
    clock: handClock(NOON_MS),
    log: quietLogger,
  });
  await commitBatch(database.db, events);
  await view.rebuild({ gameId: GAME });
  const players = postgresPlayerStates(database.db);
  await setHidden(
    { players, view },
    { gameId: GAME, playerId: 'p5', hidden: true, by: 'test', reason: null },
  );
});
afterAll(async () => {
  redis.disconnect();
  await Promise.all([database.close(), server.stop()]);
});

const audit = (): Promise<ViewDifference[]> =>
  auditViews(
    {
      truth: postgresBoardTruth(database.db),
      stored: redisStoredRows(redis, () => 'life'),
      boardOf: () => Promise.resolve(board),
    },
    GAME,
  );
const NAME = `lb:{${GAME}:xp::${encodeURIComponent('daily:2026-11-20')}}`;

test('a view that equals the truth, hidden players included, has no difference', async () => {
  expect(await redis.zcard(NAME)).toBe(events.length - 1);
  expect(await audit()).toEqual([]);
});

test('a changed score, a lost row and a hidden player who shows are found, each by its subject', async () => {
  const member = (await redis.zrange(NAME, 0, '0'))[0] ?? '';
  await redis.zadd(NAME, -1, member);
  await redis.hdel(`${NAME}:rows`, 'p7');
  const hidden = (await redis.hget(`${NAME}:rows`, 'p5')) ?? '';
  const shown = `${String(NOON_MS + 5).padStart(15, '0')}:p5`;
  await redis.hset(`${NAME}:rows`, 'p5', `${hidden}${shown}`);
  await redis.zadd(NAME, '-6', shown);
  await redis.hincrby(`${NAME}:rows`, '\0visible', 1);
  const found = await audit();
  expect(found.map(({ subject, found: held }) => [subject, held.split(',')[0]]).sort()).toEqual([
    ['p5', `6 at ${String(NOON_MS + 5)}`],
    ['p7', 'no row'],
    ['p899', `1 at ${String(NOON_MS + 899)}`],
  ]);
});

test('a view that readers do not use is not judged', async () => {
  await redis.del(`${NAME}:mark`);
  expect(await audit()).toEqual([]);
});
