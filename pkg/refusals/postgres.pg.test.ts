import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { createDatabase } from '../postgres/database.js';
import type { Database } from '../postgres/port.js';
import { testDatabase, type TestDatabase } from '../testkit/postgres.js';
import type { RefusalStore, ToldRefusal } from './port.js';
import { createRefusalStore, KEPT } from './postgres.js';

const AT_MS = Date.UTC(2026, 10, 20, 12, 0, 30);
const MINUTE_MS = Date.UTC(2026, 10, 20, 12);

let database: TestDatabase;
let worker: Database;
let api: Database;
let store: RefusalStore;
let gameId: string;
let games = 0;

beforeAll(async () => {
  database = await testDatabase();
  worker = createDatabase({ url: database.url, poolSize: 3, role: 'fairtally_worker' });
  api = createDatabase({ url: database.url, poolSize: 1, role: 'fairtally_api' });
  store = createRefusalStore(worker);
});
afterAll(async () => {
  await worker.close();
  await api.close();
  await database.close();
});
beforeEach(() => {
  gameId = `game-${String((games += 1))}`;
});

const refusal = (over: Partial<ToldRefusal> = {}): ToldRefusal => ({
  gameId,
  isVerified: true,
  code: 'invalid_ts',
  build: '1.0',
  atMs: AT_MS,
  keyId: 'key',
  playerId: 'p-1',
  eventId: 'e-1',
  type: 'progression',
  tsMs: 5,
  src: 'client',
  platform: 'ios',
  pointer: '/ts',
  detail: 'of what is wrong',
  snippet: '{"ts":"never"}',
  ...over,
});
const minute = (events: number, over: object = {}) => ({
  ...{ gameId, minuteMs: MINUTE_MS, code: 'invalid_ts', build: '1.0', events },
  ...over,
});
const rows = (): Promise<Record<string, unknown>[]> =>
  database.db.query('SELECT * FROM refusals WHERE game_id = $1 ORDER BY refusal_id', [gameId]);
const counts = (): Promise<{ code: string; build: string; events: number }[]> =>
  database.db.query(
    'SELECT code, build, events FROM refusal_minutes WHERE game_id = $1 ORDER BY minute, code, build',
    [gameId],
  );

/** Rows as old as is said, without the store. */
const fill = (count: number, isVerified: boolean, age = '0 s'): Promise<unknown> =>
  database.db.query(
    `INSERT INTO refusals (game_id, refused_at, is_verified, key_id, code)
     SELECT $1, now() - $4::interval, $3, n::text, 'invalid_ts' FROM generate_series(1, $2::int) n`,
    [gameId, count, isVerified, age],
  );
const kept = async (): Promise<unknown> => {
  const found = await database.db.query(
    `SELECT is_verified AS v, count(*) AS n, min(key_id::int) AS first FROM refusals WHERE game_id = $1 GROUP BY 1 ORDER BY 1`,
    [gameId],
  );
  return found;
};

test('a batch is written with its counts, in the order in which it was refused; counts add up', async () => {
  const bare = refusal({
    ...{
      isVerified: false,
      atMs: AT_MS + 1,
      code: 'invalid_signature',
      build: null,
      playerId: null,
      eventId: null,
    },
    ...{ type: null, tsMs: null, src: null, platform: null, pointer: null, detail: null, snippet: null },
  });
  await store.write(
    [bare, refusal({ snippet: `a\u0000${'b'.repeat(9_000)}` })],
    [minute(2), minute(1, { build: '' })],
  );
  await store.write([], [minute(3, { build: '' }), minute(7, { code: 'too_deep' })]);
  const [first, second] = await rows();
  expect(first).toMatchObject({
    ...{
      game_id: gameId,
      is_verified: true,
      key_id: 'key',
      player_id: 'p-1',
      event_id: 'e-1',
      type: 'progression',
    },
    ...{ ts_ms: 5, src: 'client', build: '1.0', platform: 'ios', code: 'invalid_ts', pointer: '/ts' },
    ...{ detail: 'of what is wrong', refused_at: new Date(AT_MS) },
  });
  expect(String(first?.['snippet'])).toMatch(/^a\ufffdb+$/);
  expect(second).toMatchObject({
    is_verified: false,
    code: 'invalid_signature',
    snippet: null,
    player_id: null,
  });
  expect(await counts()).toEqual([
    { code: 'invalid_ts', build: '', events: 4 },
    { code: 'invalid_ts', build: '1.0', events: 2 },
    { code: 'too_deep', build: '1.0', events: 7 },
  ]);
});

test('what cannot be written leaves nothing behind', async () => {
  await expect(store.write([refusal({ tsMs: 0.5 })], [minute(1)])).rejects.toThrow();
  expect([await rows(), await counts()]).toEqual([[], []]);
});

test('a game keeps its newest up to a number, strangers theirs apart, and no other game loses any', async () => {
  const other = gameId;
  await fill(3, true);
  gameId = `${other}-b`;
  await fill(KEPT.verified + 5, true);
  await fill(KEPT.unverified + 7, false);
  expect(await store.trim([gameId])).toBe(true);
  expect(await kept()).toEqual([
    { v: false, n: KEPT.unverified, first: 8 },
    { v: true, n: KEPT.verified, first: 6 },
  ]);
  expect(await store.trim([gameId, other])).toBe(true);
  gameId = other;
  expect(await kept()).toEqual([{ v: true, n: 3, first: 1 }]);
});

test('one process trims at a time', async () => {
  await worker.transaction(async (sql) => {
    await sql.query("SELECT pg_advisory_xact_lock(hashtext('fairtally.refusals'))");
    expect(await store.trim([gameId])).toBe(false);
    await store.forgetOld();
  });
  expect(await store.trim([gameId])).toBe(true);
});

test('after 14 days they are forgotten, and so are their counts', async () => {
  await fill(6_000, true, '14 days 1 minute');
  await fill(2, true, '13 days 23 hours');
  for (const age of ['15 days', '13 days'])
    await database.db.query(
      `INSERT INTO refusal_minutes SELECT $1, date_trunc('minute', now() - $2::interval), 'invalid_ts', '', 1`,
      [gameId, age],
    );
  await store.forgetOld();
  expect(await kept()).toEqual([{ v: true, n: 2, first: 1 }]);
  expect(await counts()).toHaveLength(1);
});

test('row 69: the API reads those of its own game, and writes and deletes none', async () => {
  await store.write([refusal()], [minute(1)]);
  const mine = gameId;
  gameId = `${mine}-b`;
  await store.write([refusal()], [minute(1)]);
  const inGame = <T extends object>(statement: string): Promise<T[]> =>
    api.transaction(async (sql) => {
      await sql.query("SELECT set_config('app.game', $1, true)", [mine]);
      return sql.query<T>(statement);
    });
  for (const table of ['refusals', 'refusal_minutes']) {
    expect(await inGame(`SELECT game_id FROM ${table}`)).toEqual([{ game_id: mine }]);
    expect(await api.query(`SELECT game_id FROM ${table}`)).toEqual([]);
    await expect(inGame(`DELETE FROM ${table}`)).rejects.toThrow();
  }
  await expect(
    inGame(
      `INSERT INTO refusals (game_id, refused_at, is_verified, key_id, code) VALUES ('${mine}', now(), true, 'k', 'c')`,
    ),
  ).rejects.toThrow();
});
