import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Redis } from 'ioredis';
import type { Lag } from '../bus/port.js';
import { createCycles, type Season } from '../games/cycles.js';
import type { BoardWindow, GameDefinition } from '../games/port.js';
import { createBoardQueries, type BoardAnswer, type BoardQueries } from '../query/boards.js';
import { createRedisClient, redisReady } from '../redis/client.js';
import { roleEvent } from '../testkit/admitted-event.js';
import { testDatabase, type TestDatabase } from '../testkit/postgres.js';
import { quietLogger } from '../testkit/quiet.js';
import { testRedisUrl } from '../testkit/redis.js';
import type { RoleEvent } from '../worker/port.js';
import { commitBatch, definitionWith, handClock, NOON_MS, testBoard } from './fixtures.js';
import { fold } from './fold.js';
import { setHidden } from './hide.js';
import { postgresPlayerStates } from './hide.postgres.js';
import { lockScores, saveScores } from './postgres.js';
import { postgresBoardReader } from './read.postgres.js';
import { redisBoardView } from './redis.js';
import { closeCycles } from './snapshots.js';
import { postgresSnapshots } from './snapshots.postgres.js';
import { postgresBoardTruth } from './truth.postgres.js';
import { BoardView } from './view.js';

const DAY_MS = 86_400_000;
const MIDNIGHT_MS = Date.UTC(2026, 10, 21);
const GRACE_ENDS_MS = MIDNIGHT_MS + DAY_MS;
const settled: Lag = { waiting: 0, oldestPublishedAtMs: null };

let database: TestDatabase;
let redis: Redis;
beforeAll(async () => {
  database = await testDatabase();
  redis = createRedisClient({ url: testRedisUrl() });
  await redisReady(redis, 5_000);
});
afterAll(async () => {
  redis.disconnect();
  await database.close();
});

let games = 0;
let definition: GameDefinition;
let clock: ReturnType<typeof handClock>;
let view: BoardView;
let boards: BoardQueries;
beforeEach(() => {
  games += 1;
  definition = definitionWith(`closing-${String(games)}`, testBoard());
  clock = handClock(NOON_MS);
  const store = redisBoardView(redis, quietLogger, () => 'life');
  const definitions = {
    version: (gameId: string) => Promise.resolve({ ...definition, gameId }),
    inForce: (gameId: string) => Promise.resolve({ ...definition, gameId }),
  };
  view = new BoardView({
    truth: postgresBoardTruth(database.db),
    store,
    definitions,
    clock,
    log: quietLogger,
  });
  boards = createBoardQueries({ definitions, reader: postgresBoardReader(database.db), view: store, clock });
});

const event = (id: string, playerId: string, deltaXp: number, tsMs = NOON_MS): RoleEvent =>
  roleEvent(definition, { id, playerId, tsMs, payload: { deltaXp } });

async function apply(...events: RoleEvent[]): Promise<void> {
  await commitBatch(database.db, events);
  await view.refresh(events);
  await view.idle();
}

const close = (lag: Lag = settled): Promise<number> =>
  closeCycles({
    store: { ...postgresSnapshots(database.db), now: () => Promise.resolve(clock.now()) },
    definitions: { version: () => Promise.resolve(definition), inForce: () => Promise.resolve(definition) },
    roles: ['archive', 'leaderboard'],
    lag: (role) => Promise.resolve(role === 'leaderboard' ? lag : settled),
    clock,
    log: quietLogger,
  });

/** Moves the clock far enough that nothing remembered is fresh. */
const readAt = (ms: number, more: { readonly revised?: boolean } = {}): Promise<BoardAnswer> => {
  clock.set(ms);
  return boards.top({ gameId: definition.gameId, board: 'xp', cycle: '2026-11-20', ...more });
};
const scores = ({ entries }: BoardAnswer): unknown => entries.map(({ playerId, score }) => [playerId, score]);

test('row 29: the final snapshot never changes, what counts later shows as revised', async () => {
  await apply(event('1', 'a', 5), event('2', 'b', 7));
  expect(await readAt(NOON_MS + 10_000)).toMatchObject({
    state: 'live',
    nextResetAt: '2026-11-21T00:00:00.000Z',
  });
  expect(await readAt(MIDNIGHT_MS)).toMatchObject({ state: 'closing', nextResetAt: null });
  await apply(event('3', 'a', 1));
  clock.set(GRACE_ENDS_MS);
  expect(await close()).toBe(0);
  clock.set(GRACE_ENDS_MS + 1);
  expect(await close()).toBe(1);
  const final = await readAt(GRACE_ENDS_MS + 20_000);
  expect(final).toMatchObject({ state: 'final', stale: false, total: 2 });
  expect(scores(final)).toEqual([
    ['b', 7],
    ['a', 6],
  ]);
  expect(await readAt(GRACE_ENDS_MS + 25_000, { revised: true })).toMatchObject({ state: 'final' });

  await apply(event('4', 'a', 100));
  expect(await readAt(GRACE_ENDS_MS + 30_000)).toEqual(final);
  const revised = await readAt(GRACE_ENDS_MS + 40_000, { revised: true });
  expect(revised.state).toBe('revised');
  expect(scores(revised)).toEqual([
    ['a', 106],
    ['b', 7],
  ]);
  expect(await close()).toBe(0);
});

test('a hidden player is not in a final board either, and comes back exactly', async () => {
  await apply(event('1', 'a', 5), event('2', 'b', 7));
  clock.set(GRACE_ENDS_MS + 1);
  await close();
  const whole = await readAt(GRACE_ENDS_MS + 10_000);
  const hide = (hidden: boolean) =>
    setHidden(
      { players: postgresPlayerStates(database.db), view },
      { gameId: definition.gameId, playerId: 'b', hidden, by: 'test', reason: 'cheated' },
    );
  await hide(true);
  const without = await readAt(GRACE_ENDS_MS + 20_000);
  expect(without).toMatchObject({ total: 1, entries: [{ rank: 1, playerId: 'a' }] });
  await hide(false);
  expect(await readAt(GRACE_ENDS_MS + 30_000)).toEqual(whole);
});

test('closing waits for events that were published before the end of the grace', async () => {
  await apply(event('1', 'a', 5));
  clock.set(GRACE_ENDS_MS + 60_000);
  expect(await close({ waiting: 3, oldestPublishedAtMs: GRACE_ENDS_MS - 1 })).toBe(0);
  expect(await close({ waiting: 3, oldestPublishedAtMs: null })).toBe(0);
  expect(await close({ waiting: 3, oldestPublishedAtMs: GRACE_ENDS_MS })).toBe(1);
});

test('of many closers at once one writes the snapshot', async () => {
  await apply(event('1', 'a', 5));
  clock.set(GRACE_ENDS_MS + 1);
  const closed = await Promise.all([close(), close(), close(), close()]);
  expect(closed.reduce((a, b) => a + b)).toBe(1);
});

test('a batch in flight while its cycle closes is in the snapshot', async () => {
  await apply(event('1', 'a', 5));
  clock.set(GRACE_ENDS_MS + 1);
  const late = [event('2', 'a', 4)];
  let closing: Promise<number> | null = null;
  await database.db.transaction(async (sql) => {
    await saveScores(sql, fold(await lockScores(sql, late), late));
    closing = close();
    await lockIsAwaited();
  });
  expect(await closing).toBe(1);
  const final = await readAt(GRACE_ENDS_MS + 20_000);
  expect(scores(final)).toEqual([['a', 9]]);
  expect(await readAt(GRACE_ENDS_MS + 30_000, { revised: true })).toEqual(final);
});

test('a batch that comes while its cycle closes is not in the snapshot and marks it revised', async () => {
  await apply(event('1', 'a', 5));
  let batch: Promise<void> | null = null;
  const { gameId } = definition;
  await database.db.transaction(async (sql) => {
    await sql.query('SELECT 1 FROM board_cycles WHERE game_id = $1 FOR UPDATE', [gameId]);
    batch = commitBatch(database.db, [event('2', 'a', 4)]);
    await lockIsAwaited();
    await sql.query('UPDATE board_cycles SET final_at = now() WHERE game_id = $1', [gameId]);
    await sql.query(
      `INSERT INTO leaderboard_snapshots (game_id, board, cycle, partition, subject, score, reached_at)
       SELECT game_id, board, cycle, partition, subject, score, reached_at FROM board_scores WHERE game_id = $1`,
      [gameId],
    );
  });
  await batch;
  expect(scores(await readAt(GRACE_ENDS_MS + 20_000))).toEqual([['a', 5]]);
  expect(await readAt(GRACE_ENDS_MS + 30_000, { revised: true })).toMatchObject({ state: 'revised' });
});

const cycleRow = async (): Promise<{ closes_at: Date | null; final_at: Date | null } | undefined> =>
  (
    await database.db.query<{ closes_at: Date | null; final_at: Date | null }>(
      'SELECT closes_at, final_at FROM board_cycles WHERE game_id = $1',
      [definition.gameId],
    )
  )[0];

describe('the definition in force when a cycle is due', () => {
  const season = (endsAtMs: number, ...more: Season[]): Partial<GameDefinition> => ({
    ...createCycles([{ name: 's1', startsAtMs: NOON_MS - DAY_MS, endsAtMs }, ...more]),
    graceMs: 1_000,
  });
  const window: BoardWindow = { kind: 'seasonal', timeZone: 'UTC', resetHour: 0 };
  const inForce = (version: number, over: Partial<GameDefinition>): void => {
    definition = { ...definitionWith(definition.gameId, testBoard({ windows: [window] })), version, ...over };
  };

  test('prolongs a season: it is closed at its new end, with what counted until then', async () => {
    inForce(1, season(MIDNIGHT_MS));
    await apply(event('1', 'a', 100));
    inForce(2, season(MIDNIGHT_MS + DAY_MS));
    clock.set(MIDNIGHT_MS + 10_000);
    expect(await close()).toBe(0);
    expect((await cycleRow())?.closes_at?.getTime()).toBe(MIDNIGHT_MS + DAY_MS);
    await apply(event('2', 'b', 5_000, MIDNIGHT_MS + 20_000));
    clock.set(MIDNIGHT_MS + DAY_MS + 1_001);
    expect(await close()).toBe(1);
    const final = await boards.top({ gameId: definition.gameId, board: 'xp', cycle: 's1' });
    expect([final.state, scores(final)]).toEqual([
      'final',
      [
        ['b', 5_000],
        ['a', 100],
      ],
    ]);
  });

  test('moves a season behind its old end: it is not closed before', async () => {
    inForce(1, season(MIDNIGHT_MS));
    await apply(event('1', 'a', 100));
    inForce(
      2,
      createCycles([{ name: 's1', startsAtMs: MIDNIGHT_MS + DAY_MS, endsAtMs: MIDNIGHT_MS + 2 * DAY_MS }]),
    );
    clock.set(MIDNIGHT_MS + DAY_MS + 1);
    expect(await close()).toBe(0);
    expect((await cycleRow())?.closes_at?.getTime()).toBe(MIDNIGHT_MS + 2 * DAY_MS);
  });

  test('shortens a season, or has it no more: it is closed when it was to end', async () => {
    inForce(1, season(MIDNIGHT_MS));
    await apply(event('1', 'a', 100));
    inForce(2, season(NOON_MS + 1));
    clock.set(NOON_MS + 5_000);
    expect(await close()).toBe(0);
    clock.set(MIDNIGHT_MS + 1_001);
    expect(await close()).toBe(1);
  });

  test('gives the grace', async () => {
    await apply(event('1', 'a', 5));
    definition = { ...definition, version: 2, graceMs: 2 * DAY_MS };
    clock.set(GRACE_ENDS_MS + 1);
    expect(await close()).toBe(0);
    clock.set(GRACE_ENDS_MS + DAY_MS + 1);
    expect(await close()).toBe(1);
  });

  test('is overtaken by another worker that knows a newer one: what that one moved is not closed', async () => {
    await apply(event('1', 'a', 5));
    const store = postgresSnapshots(database.db);
    const due = (await store.due(GRACE_ENDS_MS, null, 500)).find(
      ({ key }) => key.gameId === definition.gameId,
    );
    if (due === undefined) throw new Error('the cycle is due');
    await store.moveEnd(due, GRACE_ENDS_MS + DAY_MS);
    expect(await store.close(due, 'desc', GRACE_ENDS_MS + 1)).toBe(false);
    expect((await cycleRow())?.final_at).toBeNull();
  });
});

test('row 16: a worker whose clock is a day ahead closes nothing early; the database has the one clock of closing', async () => {
  const store = postgresSnapshots(database.db);
  const nowMs = await store.now();
  const [row] = await database.db.query<{ now: Date }>('SELECT now() AS now');
  expect(Math.abs((row?.now.getTime() ?? 0) - nowMs)).toBeLessThan(60_000);
  await apply(event('1', 'a', 5, nowMs));
  clock.set(nowMs + 2 * DAY_MS + 1);
  const closing = (): Promise<number> =>
    closeCycles({
      store,
      definitions: { version: () => Promise.resolve(definition), inForce: () => Promise.resolve(definition) },
      roles: ['leaderboard'],
      lag: () => Promise.resolve(settled),
      clock,
      log: quietLogger,
    });
  await closing();
  expect((await cycleRow())?.final_at).toBeNull();
});

/** Resolves when some transaction of this database waits for a lock. */
async function lockIsAwaited(): Promise<void> {
  for (;;) {
    const waiting = await database.db.query(
      "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
    );
    if (waiting.length > 0) return;
  }
}
