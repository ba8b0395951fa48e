import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Redis } from 'ioredis';
import type { GameDefinition } from '../games/port.js';
import { OutageError } from '../kernel/errors.js';
import { commitBatch, definitionWith, handClock, NOON_MS, testBoard } from '../leaderboard/fixtures.js';
import type { BoardReader } from '../leaderboard/port.js';
import { postgresBoardReader } from '../leaderboard/read.postgres.js';
import { redisBoardView } from '../leaderboard/redis.js';
import { postgresBoardTruth } from '../leaderboard/truth.postgres.js';
import { BoardView } from '../leaderboard/view.js';
import { createRedisClient, redisReady } from '../redis/client.js';
import { roleEvent } from '../testkit/admitted-event.js';
import { eventually } from '../testkit/eventually.js';
import { testDatabase, type TestDatabase } from '../testkit/postgres.js';
import { quietLogger } from '../testkit/quiet.js';
import { startRedisServer, type RedisServer } from '../testkit/redis-server.js';
import { hastyClock } from '../testkit/settable-clock.js';
import type { RoleEvent } from '../worker/port.js';
import { createBoardQueries, type BoardAnswer, type BoardQueries } from './boards.js';

let database: TestDatabase;
let server: RedisServer;
let redis: Redis;
beforeAll(async () => {
  [database, server] = await Promise.all([testDatabase(), startRedisServer()]);
  redis = createRedisClient({ url: server.url, commandTimeoutMs: 1_000 });
  await redisReady(redis, 5_000);
});
afterAll(async () => {
  redis.disconnect();
  await Promise.all([database.close(), server.stop()]);
});

const xp = testBoard({
  windows: (['daily', 'seasonal', 'all-time'] as const).map((kind) => ({
    kind,
    timeZone: 'UTC',
    resetHour: 0,
  })),
});
const perTrack = testBoard({ name: 'laps', aggregate: 'min', partitionField: 'track' });

let games = 0;
let gameId: string;
let definition: GameDefinition;
let clock: ReturnType<typeof handClock>;
let view: BoardView;
let withView: BoardQueries;
let withoutView: BoardQueries;

const reader = (): BoardReader => postgresBoardReader(database.db);
const queries = (over: BoardReader, store: ReturnType<typeof redisBoardView> | null): BoardQueries =>
  createBoardQueries({
    definitions: { inForce: (id) => Promise.resolve(id === gameId ? definition : null) },
    reader: over,
    view: store,
    clock,
  });

beforeEach(() => {
  games += 1;
  gameId = `query-${String(games)}`;
  definition = definitionWith(gameId, xp, perTrack);
  clock = handClock(NOON_MS);
  const store = redisBoardView(redis, quietLogger, () => 'life');
  const definitions = { version: () => Promise.resolve(definition) };
  view = new BoardView({
    truth: postgresBoardTruth(database.db),
    store,
    definitions,
    clock,
    log: quietLogger,
  });
  withView = queries(reader(), store);
  withoutView = queries(reader(), null);
});

const event = (id: string, playerId: string, deltaXp: number, more: Record<string, string> = {}): RoleEvent =>
  roleEvent(definition, { id, playerId, tsMs: NOON_MS + 7, payload: { deltaXp, ...more } });

async function apply(...events: RoleEvent[]): Promise<void> {
  await commitBatch(database.db, events);
  await view.refresh(events);
  await view.idle();
}

const scores = ({ entries }: BoardAnswer): unknown =>
  entries.map(({ rank, playerId, score }) => [rank, playerId, score]);
const later = (): void => clock.set(clock.now() + 2_000);

test('a board has the shape that clients know', async () => {
  await apply(event('1', 'a', 5, { track: 't' }));
  const answer = await withView.top({ gameId, board: 'xp', window: 'seasonal' });
  expect(answer).toEqual({
    board: 'xp',
    window: 'seasonal',
    cycle: '2026-Q4',
    season: '2026-Q4',
    partition: '',
    state: 'live',
    stale: false,
    total: 1,
    updatedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    nextResetAt: '2027-01-01T00:00:00.000Z',
    entries: [{ rank: 1, playerId: 'a', score: 5, reachedAt: '2026-11-20T12:00:00.007Z' }],
    nextCursor: null,
  });
  expect(await withoutView.top({ gameId, board: 'xp', window: 'seasonal' })).toEqual(answer);
  expect(await withView.top({ gameId, board: 'xp', window: 'all-time' })).toMatchObject({
    cycle: 'all',
    season: null,
    nextResetAt: null,
  });
});

test('a board without scores is empty; a cycle that never counted anything is not found', async () => {
  const answer = await withView.top({ gameId, board: 'xp' });
  expect(answer).toMatchObject({
    window: 'daily',
    cycle: '2026-11-20',
    state: 'live',
    total: 0,
    updatedAt: null,
    entries: [],
    nextCursor: null,
  });
  for (const request of [
    { cycle: '2026-11-19' },
    { cycle: '..%' },
    { cycle: '' },
    { window: 'weekly' },
    { window: 'hourly' },
    { board: 'no' },
  ]) {
    await expect(withView.top({ gameId, board: 'xp', ...request })).rejects.toMatchObject({
      code: 'not_found',
    });
  }
  await expect(withView.top({ gameId: 'other', board: 'xp' })).rejects.toMatchObject({
    code: 'definition_unavailable',
  });
});

test('each partition is a board of its own', async () => {
  await apply(
    event('1', 'a', 5, { track: 'x:y' }),
    event('2', 'b', 4, { track: 'x:y' }),
    event('3', 'a', 9, { track: 'z' }),
  );
  for (const boards of [withView, withoutView]) {
    expect(scores(await boards.top({ gameId, board: 'laps', partition: 'x:y' }))).toEqual([
      [1, 'b', 4],
      [2, 'a', 5],
    ]);
    expect(scores(await boards.top({ gameId, board: 'laps', partition: 'z' }))).toEqual([[1, 'a', 9]]);
    await expect(boards.top({ gameId, board: 'laps' })).rejects.toMatchObject({ code: 'invalid_parameter' });
    await expect(boards.top({ gameId, board: 'xp', partition: 'z' })).rejects.toMatchObject({
      code: 'invalid_parameter',
    });
  }
});

test('pages join without gap or repeat while scores move, in view and truth alike', async () => {
  const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
  await apply(...names.map((name, i) => event(name, name, 10 - Math.floor(i / 3))));
  for (const boards of [withView, withoutView]) {
    const first = await boards.top({ gameId, board: 'xp', limit: 3 });
    expect(scores(first)).toEqual([
      [1, 'a', 10],
      [2, 'b', 10],
      [3, 'c', 10],
    ]);
    const second = await boards.top({ gameId, board: 'xp', limit: 3, cursor: first.nextCursor ?? '' });
    expect(scores(second)).toEqual([
      [4, 'd', 9],
      [5, 'e', 9],
      [6, 'f', 9],
    ]);
    const third = await boards.top({ gameId, board: 'xp', limit: 3, cursor: second.nextCursor ?? '' });
    expect(scores(third)).toEqual([[7, 'g', 8]]);
    expect(third.nextCursor).toBeNull();
  }
  const { nextCursor } = await withView.top({ gameId, board: 'xp', limit: 3 });
  await apply(event('move', 'c', 100)); // the player of the cursor leads now
  for (const boards of [withView, withoutView]) {
    const next = await boards.top({ gameId, board: 'xp', limit: 2, cursor: nextCursor ?? '' });
    expect(scores(next)).toEqual([
      [4, 'd', 9],
      [5, 'e', 9],
    ]);
  }
});

test('players and their neighbourhood have the same ranks as the whole board', async () => {
  await apply(...['a', 'b', 'c', 'd', 'e'].map((name, i) => event(name, name, 10 - i)));
  for (const boards of [withView, withoutView]) {
    expect(scores(await boards.around({ gameId, board: 'xp', playerId: 'd', limit: 3 }))).toEqual([
      [3, 'c', 8],
      [4, 'd', 7],
      [5, 'e', 6],
    ]);
    expect(scores(await boards.around({ gameId, board: 'xp', playerId: 'a', limit: 3 }))).toEqual([
      [1, 'a', 10],
      [2, 'b', 9],
      [3, 'c', 8],
    ]);
    expect(await boards.around({ gameId, board: 'xp', playerId: 'nobody' })).toMatchObject({
      total: 5,
      entries: [],
    });
    const named = await boards.players({ gameId, board: 'xp', playerIds: ['e', 'nobody', 'b', 'e'] });
    expect(scores(named)).toEqual([
      [2, 'b', 9],
      [5, 'e', 6],
    ]);
    expect(named.nextCursor).toBeNull();
  }
});

test.each([0, -1, 1.5, 1_001, NaN, Infinity])('a limit of %p is refused', async (limit) => {
  await expect(withView.top({ gameId, board: 'xp', limit })).rejects.toMatchObject({
    code: 'invalid_parameter',
  });
});

test('no player, too many or impossible ones are refused', async () => {
  for (const playerIds of [
    [],
    Array.from({ length: 101 }, (_, i) => `p-${String(i)}`),
    [''],
    ['\ud800'],
    ['a\u0000'],
  ]) {
    await expect(withView.players({ gameId, board: 'xp', playerIds })).rejects.toMatchObject({
      code: 'invalid_parameter',
    });
  }
  await expect(withView.top({ gameId, board: 'laps', partition: '\u0000' })).rejects.toMatchObject({
    code: 'invalid_parameter',
  });
});

describe('faults', () => {
  test('row 39: while Redis is down boards come from the truth and say so', async () => {
    await apply(event('1', 'a', 5));
    expect(await withView.top({ gameId, board: 'xp' })).toMatchObject({ stale: false });
    await server.kill();
    await apply(event('2', 'a', 6));
    later();
    const answer = await withView.top({ gameId, board: 'xp' });
    expect(answer.stale).toBe(true);
    expect(scores(answer)).toEqual([[1, 'a', 11]]);
    await server.start();
    await redisReady(redis, 10_000);
    await view.check();
    later();
    expect(await withView.top({ gameId, board: 'xp' })).toEqual({
      ...answer,
      stale: false,
      updatedAt: expect.any(String),
    });
  });

  test('row 37: after Redis lost its data boards come from the truth until the view is whole again', async () => {
    await apply(event('1', 'a', 5));
    await redis.flushall();
    const answer = await withView.top({ gameId, board: 'xp' });
    expect(answer).toMatchObject({ stale: false, total: 1 });
    await view.check();
    later();
    expect(await withView.top({ gameId, board: 'xp' })).toEqual(answer);
  });

  test('many readers at once ask the truth once', async () => {
    await apply(event('1', 'a', 5));
    let reads = 0;
    const counting: BoardReader = {
      cycle: (key) => reader().cycle(key),
      read: (...args) => {
        reads += 1;
        return reader().read(...args);
      },
    };
    const boards = queries(counting, null);
    await Promise.all(Array.from({ length: 50 }, () => boards.top({ gameId, board: 'xp' })));
    expect(reads).toBe(1);
    later();
    await boards.top({ gameId, board: 'xp' });
    expect(reads).toBe(2);
  });

  test('row 41: while the truth is away the last answer stands in and says so; what was never asked fails', async () => {
    await apply(event('1', 'a', 5));
    let isAway = false;
    const flaky: BoardReader = {
      cycle: (key) => (isAway ? Promise.reject(new OutageError('PostgreSQL')) : reader().cycle(key)),
      read: (...args) => (isAway ? Promise.reject(new OutageError('PostgreSQL')) : reader().read(...args)),
    };
    const boards = queries(flaky, null);
    const answer = await boards.top({ gameId, board: 'xp' });
    isAway = true;
    later();
    expect(await boards.top({ gameId, board: 'xp' })).toEqual({ ...answer, stale: true });
    await expect(boards.top({ gameId, board: 'xp', limit: 2 })).rejects.toBeInstanceOf(OutageError);
  });

  test('row 44: while the truth hangs the last answer stands in and says so', async () => {
    await apply(event('1', 'a', 5));
    let hangs = false;
    const asked = <T>(ask: () => Promise<T>): Promise<T> => (hangs ? new Promise(() => undefined) : ask());
    const hanging: BoardReader = {
      cycle: (key) => asked(() => reader().cycle(key)),
      read: (...args) => asked(() => reader().read(...args)),
    };
    const boards = createBoardQueries({
      definitions: { inForce: () => Promise.resolve(definition) },
      reader: hanging,
      view: null,
      clock: hastyClock(clock),
    });
    let answer: BoardAnswer | null = null;
    await eventually('it is known', async () => {
      answer = await boards.top({ gameId, board: 'xp' });
      return !answer.stale;
    });
    hangs = true;
    later();
    expect(await boards.top({ gameId, board: 'xp' })).toEqual({
      ...(answer as BoardAnswer | null),
      stale: true,
    });
  });
});
