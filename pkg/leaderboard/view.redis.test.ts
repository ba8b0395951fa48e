import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Redis } from 'ioredis';
import type { GameDefinition } from '../games/port.js';
import { createRedisClient, redisReady } from '../redis/client.js';
import type { Metrics } from '../runtime/port.js';
import { roleEvent } from '../testkit/admitted-event.js';
import { testDatabase, type TestDatabase } from '../testkit/postgres.js';
import { quietLogger, quietMetrics } from '../testkit/quiet.js';
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

const viewOf = (over: BoardViewStore, metrics: Metrics = quietMetrics): BoardView =>
  new BoardView({
    truth: postgresBoardTruth(database.db),
    store: over,
    definitions: { version: () => Promise.resolve(definition) },
    clock: handClock(NOON_MS),
    log: quietLogger,
    metrics,
  });

const event = (id: string, playerId: string, deltaXp: number): RoleEvent =>
  roleEvent(definition, { id, playerId, tsMs: NOON_MS, payload: { deltaXp } });

async function apply(...events: RoleEvent[]): Promise<void> {
  await commitBatch(database.db, events);
  await view.refresh(events);
}

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

test('the first score of a cycle builds its view, later ones move it', async () => {
  await apply(event('1', 'a', 5), event('2', 'b', 7));
  await view.idle();
  expect(scores(await inView())).toEqual([
    ['b', 7],
    ['a', 5],
  ]);
  await apply(event('3', 'a', 5));
  expect(scores(await inView())).toEqual([
    ['a', 10],
    ['b', 7],
  ]);
});

test('all keys of a cycle share one Cluster slot and name the game', async () => {
  await apply(event('1', 'a', 5));
  await view.idle();
  const names = await redis.keys(`lb:{${definition.gameId}:*`);
  expect(names.sort()).toEqual(
    ['', ':mark', ':rows'].map((end) => `lb:{${definition.gameId}:xp::daily%3A2026-11-20}${end}`),
  );
  for (const name of names) expect(await redis.pttl(name)).toBeGreaterThan(0);
});

test('a crash between commit and refresh is healed by the refresh of the duplicate', async () => {
  await apply(event('1', 'a', 5));
  await view.idle();
  const lost = event('2', 'a', 6);
  await commitBatch(database.db, [lost]);
  expect(scores(await inView())).toEqual([['a', 5]]);
  await view.refresh([lost]);
  expect(scores(await inView())).toEqual([['a', 11]]);
});

describe('the script', () => {
  const row = (revision: number, score: number, hidden = false) => ({
    subject: 'a',
    score,
    reachedAtMs: NOON_MS,
    revision,
    hidden,
  });
  const options = { epoch: 4, build: null, expireAtMs: null };
  const build = async (): Promise<void> => {
    const name = await store.begin(key, 4);
    await store.complete(key, 4, name ?? '', null);
  };
  const read = async (): Promise<unknown> => scores(await store.read(key, board, 4, ALL));

  test('row 40: a write sent again after its answer was lost changes nothing', async () => {
    await build();
    await store.apply(key, 'desc', [row(1, 5)], options);
    await store.apply(key, 'desc', [row(2, 9)], options);
    const state = async () => [
      await redis.zrange(`lb:{${key.gameId}:xp::daily%3A2026-11-20}`, '0', '-1', 'WITHSCORES'),
      await read(),
    ];
    const before = await state();
    expect(await store.apply(key, 'desc', [row(2, 9)], options)).toBe('applied');
    expect(await state()).toEqual(before);
  });

  test('a stale revision never wins, a tombstone included', async () => {
    await build();
    await store.apply(key, 'desc', [row(3, 9)], options);
    await store.apply(key, 'desc', [row(2, 5)], options);
    expect(await read()).toEqual([['a', 9]]);
    await store.apply(key, 'desc', [row(5, 9, true)], options);
    await store.apply(key, 'desc', [row(4, 10)], options);
    expect(await read()).toEqual([]);
    await store.apply(key, 'desc', [row(6, 9)], options);
    expect(await read()).toEqual([['a', 9]]);
  });

  test('writes only where the mark stands at the epoch of the truth', async () => {
    expect(await store.apply(key, 'desc', [row(1, 5)], options)).toBe('absent');
    await build();
    expect(await store.apply(key, 'desc', [row(1, 5)], { ...options, epoch: 6 })).toBe('absent');
    expect(await store.apply(key, 'desc', [row(1, 5)], { ...options, epoch: 3 })).toBe('newer');
    expect(await read()).toEqual([]);
  });

  test('of two builds the later epoch wins, and the earlier cannot complete', async () => {
    const first = (await store.begin(key, 4)) ?? '';
    const second = (await store.begin(key, 6)) ?? '';
    expect(await store.begin(key, 4)).toBeNull();
    expect(await store.complete(key, 4, first, null)).toBe(false);
    expect(await store.complete(key, 6, second, null)).toBe(true);
    expect(await store.read(key, board, 4, ALL)).toBeNull();
  });

  test('a malformed call is refused before anything is written', async () => {
    await build();
    await expect(store.apply(key, 'desc', [row(1, 5), row(NaN, 5)], options)).rejects.toThrow('ERR');
    expect(await read()).toEqual([]);
  });
});

test('a score that is committed while the view is built is in it', async () => {
  await apply(event('1', 'a', 1));
  await view.idle();
  const late = event('2', '0-before-the-scan', 3);
  let pages = 0;
  const meanwhile: BoardViewStore = {
    ...store,
    apply: async (...args) => {
      pages += 1;
      // The scan has read its page: this writer's row is behind it.
      if (pages === 1) {
        await commitBatch(database.db, [late]);
        await view.refresh([late]);
      }
      return store.apply(...args);
    },
  };
  await viewOf(meanwhile).rebuild({ gameId: definition.gameId });
  expect(await inView()).toEqual(await inTruth());
  expect(scores(await inView())).toEqual([
    ['0-before-the-scan', 3],
    ['a', 1],
  ]);
});

test('two workers that build one view at once leave one whole view', async () => {
  await apply(event('1', 'a', 1));
  await view.idle();
  await Promise.all([1, 2, 3].map(() => viewOf(store).rebuild({ gameId: definition.gameId })));
  await view.check();
  expect(await inView()).toEqual(await inTruth());
});

describe('hiding', () => {
  test('takes a player off the view and restoring puts them back exactly, scores counted meanwhile included', async () => {
    await apply(event('1', 'a', 5), event('2', 'b', 7));
    await view.idle();
    expect(await hide('b', true)).toBe(true);
    expect(scores(await inView())).toEqual([['a', 5]]);
    await apply(event('3', 'b', 1));
    expect(await inView()).toEqual(await inTruth());
    expect(scores(await inView())).toEqual([['a', 5]]);
    expect(await hide('b', true)).toBe(false);
    await hide('b', false);
    expect(scores(await inView())).toEqual([
      ['b', 8],
      ['a', 5],
    ]);
    expect(await inView()).toEqual(await inTruth());
  });

  test('interleaved with the first score of the player ends hidden, whoever commits first', async () => {
    await apply(event('1', 'a', 5));
    await view.idle();
    const players = postgresPlayerStates(database.db);
    const state = { gameId: definition.gameId, hidden: true, by: 'test', reason: null };
    // The hiding does not see the score, whose refresh comes last.
    await players.setHidden({ ...state, playerId: 'b' });
    await view.refreshPlayer(definition.gameId, 'b');
    const ofB = event('2', 'b', 7);
    await commitBatch(database.db, [ofB]);
    await view.refresh([ofB]);
    // The score's refresh is overtaken: it read the truth before the hiding and writes after it.
    const ofC = event('3', 'c', 8);
    await commitBatch(database.db, [ofC]);
    const overtaken: BoardViewStore = {
      ...store,
      apply: async (...args) => {
        await players.setHidden({ ...state, playerId: 'c' });
        await view.refreshPlayer(definition.gameId, 'c');
        return store.apply(...args);
      },
    };
    await viewOf(overtaken).refresh([ofC]);
    expect(scores(await inView())).toEqual([['a', 5]]);
    expect(await inView()).toEqual(await inTruth());
  });

  test('that ended between its commit and the view is completed by the next check', async () => {
    await apply(event('1', 'a', 5), event('2', 'b', 7));
    await view.idle();
    await postgresPlayerStates(database.db).setHidden({
      gameId: definition.gameId,
      playerId: 'b',
      hidden: true,
      by: 'test',
      reason: null,
    });
    expect(scores(await inView())).toEqual([
      ['b', 7],
      ['a', 5],
    ]);
    await view.check();
    expect(scores(await inView())).toEqual([['a', 5]]);
  });

  test('does not touch a guild that has the name of the player', async () => {
    const guilds = testBoard({ subjectField: 'guild' });
    definition = definitionWith(definition.gameId, guilds);
    const ofGuild = roleEvent(definition, {
      id: '1',
      playerId: 'x',
      tsMs: NOON_MS,
      payload: { deltaXp: 3, guild: 'a' },
    });
    await apply(ofGuild);
    await view.idle();
    await hide('a', true);
    await view.rebuild({ gameId: definition.gameId });
    const read = await store.read(key, guilds, await epochNow(), ALL);
    expect(scores(read)).toEqual([['a', 3]]);
    expect(await postgresBoardReader(database.db).read(key, guilds, 'live', ALL)).toEqual(read);
  });
});

describe('Redis lost', () => {
  const isBack = async (): Promise<void> => {
    await server.start();
    await redisReady(redis, 10_000);
  };

  test('row 37: all data lost: the truth answers, then the view is rebuilt and equal', async () => {
    await apply(event('1', 'a', 5), event('2', 'b', 7));
    await view.idle();
    await server.kill();
    await isBack();
    expect(await inView()).toBeNull();
    await view.check();
    expect(await inView()).toEqual(await inTruth());
    expect(scores(await inView())).toEqual([
      ['b', 7],
      ['a', 5],
    ]);
  });

  test('row 39: while it is down refreshes void the view once, and nothing fails', async () => {
    await apply(event('1', 'a', 5));
    await view.idle();
    const epoch = await epochNow();
    await server.kill();
    await apply(event('2', 'a', 1));
    expect(await inView()).toBe('away');
    await apply(event('3', 'a', 1));
    expect(await epochNow()).toBe(epoch + 1);
    await isBack();
    await view.check();
    expect(scores(await inView())).toEqual([['a', 7]]);
  });

  test('a refresh that fails half way voids the view before it returns', async () => {
    await apply(event('1', 'a', 5));
    await view.idle();
    const failing: BoardViewStore = {
      ...store,
      apply: () => Promise.reject(new Error('the reply was lost')),
    };
    const more = event('2', 'a', 1);
    await commitBatch(database.db, [more]);
    await viewOf(failing).refresh([more]);
    expect(await inView()).toBeNull();
    await view.check();
    expect(scores(await inView())).toEqual([['a', 6]]);
  });

  test('a build that fails is tried again by the next check', async () => {
    const first = event('1', 'a', 5);
    await commitBatch(database.db, [first]);
    const failing: BoardViewStore = {
      ...store,
      complete: () => Promise.reject(new Error('the reply was lost')),
    };
    expect(await viewOf(failing).rebuild({ gameId: definition.gameId })).toBe(0);
    expect(await inView()).toBeNull();
    await view.check();
    expect(scores(await inView())).toEqual([['a', 5]]);
  });
});

test('a rebuild tells its progress per cycle and takes only its scope', async () => {
  await apply(event('1', 'a', 5));
  await view.idle();
  const seen: unknown[] = [];
  const built = await view.rebuild({ gameId: definition.gameId, board: 'xp' }, (progress) =>
    seen.push(progress),
  );
  expect(built).toBe(1);
  expect(seen).toEqual([{ done: 1, total: 1, key, result: 'built' }]);
  expect(await view.rebuild({ gameId: definition.gameId, board: 'other' })).toBe(0);
});

test('a check tells how many open cycles have a whole view and how many are behind', async () => {
  const told = new Map<string, number>();
  const metrics: Metrics = {
    ...quietMetrics,
    gauge: (name) => ({
      set: (value, labels) => void told.set(`${name} ${labels?.['state'] ?? ''}`, value),
    }),
  };
  const watching = viewOf(store, metrics);
  await apply(event('1', 'a', 5));
  await view.idle();
  await view.check(); // also the cycles that other tests left
  await watching.check();
  const whole = told.get('fairtally_view_cycles whole') ?? 0;
  expect(told.get('fairtally_view_cycles behind')).toBe(0);
  expect(whole).toBeGreaterThan(0);

  await postgresBoardTruth(database.db).voidCycles([key]);
  await watching.check();
  expect(Object.fromEntries(told)).toEqual({
    'fairtally_view_cycles whole': whole - 1,
    'fairtally_view_cycles behind': 1,
  });
  await watching.check();
  expect(told.get('fairtally_view_cycles behind')).toBe(0);

  await viewOf({ ...store, isAway: () => true }, metrics).check();
  expect(told.get('fairtally_view_cycles behind')).toBe(whole);
});
