import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Redis } from 'ioredis';
import type { GameDefinition } from '../games/port.js';
import { createRedisClient, redisReady } from '../redis/client.js';
import { eventually } from '../testkit/eventually.js';
import { roleEvent } from '../testkit/admitted-event.js';
import { testDatabase, type TestDatabase } from '../testkit/postgres.js';
import { quietLogger } from '../testkit/quiet.js';
import { startRedisServer, type RedisServer } from '../testkit/redis-server.js';
import type { RoleEvent } from '../worker/port.js';
import { commitBatch, definitionWith, handClock, NOON_MS, testBoard } from './fixtures.js';
import { setHidden } from './hide.js';
import { postgresPlayerStates } from './hide.postgres.js';
import type { BoardKey, BoardQuestion, BoardSlice } from './port.js';
import { postgresBoardReader } from './read.postgres.js';
import { redisBoardView } from './redis.js';
import { postgresBoardTruth } from './truth.postgres.js';
import { BoardView } from './view.js';
import type { BoardViewStore } from './view-port.js';

let database: TestDatabase;
let server: RedisServer;
let redis: Redis;
let store: BoardViewStore;
beforeAll(async () => {
  [database, server] = await Promise.all([testDatabase(), startRedisServer()]);
  redis = createRedisClient({ url: server.url, commandTimeoutMs: 1_000 });
  await redisReady(redis, 5_000);
  store = redisBoardView(redis, quietLogger, () => 'life');
});
afterAll(async () => {
  redis.disconnect();
  await Promise.all([database.close(), server.stop()]);
});

const board = testBoard();
const ALL: BoardQuestion = { kind: 'top', limit: 1_000, after: null };

let games = 0;
let definition: GameDefinition;
let key: BoardKey;
let view: BoardView;
beforeEach(() => {
  games += 1;
  definition = definitionWith(`game-${String(games)}`, board);
  key = { gameId: definition.gameId, board: 'xp', cycle: 'daily:2026-11-20', partition: '' };
  view = viewOf(store);
});

const viewOf = (over: BoardViewStore): BoardView =>
  new BoardView({
    truth: postgresBoardTruth(database.db),
    store: over,
    definitions: { version: () => Promise.resolve(definition) },
    clock: handClock(NOON_MS),
    log: quietLogger,
  });

const event = (id: string, playerId: string, deltaXp: number): RoleEvent =>
  roleEvent(definition, { id, playerId, tsMs: NOON_MS, payload: { deltaXp } });

async function apply(...events: RoleEvent[]): Promise<void> {
  await commitBatch(database.db, events);
  await view.refresh(events);
}

const rankOf = ({ gameId }: BoardKey): string => `lb:{${gameId}:xp::daily%3A2026-11-20}`;
const inTruth = (): Promise<BoardSlice> => postgresBoardReader(database.db).read(key, board, 'live', ALL);
const epochNow = async (): Promise<number> => (await postgresBoardReader(database.db).cycle(key))?.epoch ?? 0;
const inView = async (): Promise<BoardSlice | null | 'away'> => store.read(key, board, await epochNow(), ALL);
const scores = (slice: BoardSlice | null | 'away'): unknown =>
  slice === null || slice === 'away' ? slice : slice.entries.map(({ subject, score }) => [subject, score]);

const hide = (playerId: string, hidden: boolean): Promise<boolean> =>
  setHidden(
    { players: postgresPlayerStates(database.db), view },
    { gameId: definition.gameId, playerId, hidden, by: 'test', reason: null },
  );

const isBack = async (): Promise<void> => {
  await server.start();
  await redisReady(redis, 10_000);
};

test('row 37: a server that comes back with old rows from its disk is not believed', async () => {
  await apply(event('1', 'a', 100), event('2', 'b', 50));
  await view.idle();
  await redis.save();
  await apply(event('3', 'c', 500), event('4', 'b', 200));
  await server.kill();
  await isBack();
  expect(await redis.get(`${rankOf(key)}:mark`)).toContain('|complete|');
  expect(await inView()).toBeNull();
  await view.check();
  expect(await inView()).toEqual(await inTruth());
  expect(scores(await inView())).toEqual([
    ['c', 500],
    ['b', 250],
    ['a', 100],
  ]);
  await redis.flushall();
  await redis.save();
});

test('row 38: a replica that lost the tail is not believed when it takes over', async () => {
  await apply(event('1', 'a', 5));
  await view.idle();
  const replica = await startRedisServer();
  const client = createRedisClient({ url: replica.url });
  try {
    await redisReady(client, 5_000);
    const over = redisBoardView(client, quietLogger, () => 'life');
    await client.replicaof('127.0.0.1', server.port);
    await eventually('the mark is copied', async () => (await client.get(`${rankOf(key)}:mark`)) !== null);
    await client.replicaof('NO', 'ONE');
    await apply(event('2', 'a', 6));
    expect(scores(await inView())).toEqual([['a', 11]]);
    expect(await over.read(key, board, await epochNow(), ALL)).toBeNull();
    await viewOf(over).check();
    expect(scores(await over.read(key, board, await epochNow(), ALL))).toEqual([['a', 11]]);
  } finally {
    client.disconnect();
    await replica.stop();
  }
});

test.each(['', ':rows', ':mark'])(
  'one key of a view that is forgotten ("%s") makes it absent, to readers and writers alike, until it is built again',
  async (end) => {
    await apply(event('1', 'a', 5), event('2', 'b', 7), event('3', 'c', 1));
    await hide('c', true);
    await view.idle();
    await redis.del(`${rankOf(key)}${end}`);
    expect(await inView()).toBeNull();
    const around: BoardQuestion = { kind: 'around', subject: 'a', limit: 3 };
    expect(await store.read(key, board, await epochNow(), around)).toBeNull();
    await apply(event('4', 'a', 1_000));
    await view.idle();
    expect(await inView()).toEqual(await inTruth());
    await redis.del(`${rankOf(key)}${end}`);
    await view.check();
    expect(scores(await inView())).toEqual([
      ['a', 1_005],
      ['b', 7],
    ]);
  },
);

describe('a build', () => {
  const row = (subject: string) => ({ subject, score: 5, reachedAtMs: NOON_MS, revision: 1, hidden: false });
  const ofBuild = (build: string | null) => ({ epoch: 4, build, expireAtMs: null });
  const begin = async (): Promise<string> => (await store.begin(key, 4)) ?? '';

  test.each(['', ':rows', ':mark'])(
    'that is begun again under its own epoch, when a key ("%s") was lost, is not ended by whoever began it first',
    async (end) => {
      const first = await begin();
      expect(await store.apply(key, 'desc', [row('a')], ofBuild(first))).toBe('applied');
      await redis.del(`${rankOf(key)}${end}`);
      // The network repeats the command: the answer reaches nobody.
      const repeated = await begin();
      expect(repeated).not.toBe(first);
      expect(await store.apply(key, 'desc', [row('b')], ofBuild(first))).toBe('absent');
      expect(await store.complete(key, 4, first, null)).toBe(false);
      expect(await store.read(key, board, 4, ALL)).toBeNull();
      expect(await store.apply(key, 'desc', [row('c')], ofBuild(null))).toBe('applied');
      expect(await store.complete(key, 4, repeated, null)).toBe(true);
      expect(scores(await store.read(key, board, 4, ALL))).toEqual([['c', 5]]);
    },
  );

  test('row 76: of a process that does not name its builds yet is whole to others, and is not ended by them', async () => {
    const named = await begin();
    await redis.hdel(`${rankOf(key)}:rows`, '\0build');
    expect(await store.apply(key, 'desc', [row('a')], ofBuild(null))).toBe('applied');
    expect(await store.complete(key, 4, named, null)).toBe(false);
    const mark = (await redis.get(`${rankOf(key)}:mark`)) ?? '';
    await redis.set(`${rankOf(key)}:mark`, mark.replace('building', 'complete'));
    expect(scores(await store.read(key, board, 4, ALL))).toEqual([['a', 5]]);
  });
});

test('a board whose players are all hidden is empty, not absent', async () => {
  await apply(event('1', 'a', 5));
  await view.idle();
  await hide('a', true);
  const epoch = await epochNow();
  expect(await inView()).toEqual({ total: 0, entries: [] });
  await view.check();
  expect(await epochNow()).toBe(epoch);
});

test('a server that forgets when its memory is full is told once', async () => {
  const told: unknown[] = [];
  const log = { ...quietLogger, warn: (fields: object) => void told.push(fields) };
  await redis.config('SET', 'maxmemory', '1gb', 'maxmemory-policy', 'allkeys-lru');
  const watching = redisBoardView(redis, log, () => 'life');
  await watching.read(key, board, 2, ALL);
  await server.kill();
  await isBack();
  await watching.read(key, board, 2, ALL);
  expect(told).toEqual([{ policy: 'allkeys-lru' }]);
});
