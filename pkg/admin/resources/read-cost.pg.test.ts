import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Board } from '../../games/port.js';
import { HiddenPlaces, readSnapshot } from '../../leaderboard/snapshot-read.postgres.js';
import type { Sql } from '../../postgres/port.js';
import { listLetters } from '../../worker/dead-letters/queries.postgres.js';
import { readAudit } from '../audit-read.postgres.js';
import { listCases } from './cases.postgres.js';
import { openWorld, type World } from './fixtures.js';
import { searchPlayers } from './players.postgres.js';

/** Of each table; a few of them are rare. */
const ROWS = 3_000;
const LIMIT = 10;
const A_PAGE = { limit: LIMIT, cursor: null };
/** Those that say where a page begins included. */
const READ_MAX = 5 * LIMIT;
const HOUR_MS = 3_600_000;

let world: World;

beforeAll(async () => {
  world = await openWorld();
  for (const text of [
    `INSERT INTO leaderboard_snapshots (game_id, board, cycle, partition, subject, score, reached_at, place)
     SELECT 'g', 'xp', 'seasonal:s1', '', 'p-' || lpad(n::text, 5, '0'), $1 - n, n, n FROM generate_series(1, $1) AS n`,
    `INSERT INTO player_profiles SELECT 'g', 'p-' || lpad(n::text, 5, '0'), 0, 0, 1 FROM generate_series(1, $1) AS n`,
    `INSERT INTO player_state (game_id, player_id, hidden, revision, changed_by)
     SELECT 'g', 'p-' || lpad(n::text, 5, '0'), false, 1, 'ann' FROM generate_series(1, $1) AS n`,
    `INSERT INTO dead_letters (role, game_id, player_id, transport_position, reason, detail, attempts, body, headers, code_version)
     SELECT 'progression', 'g', CASE WHEN n < 4 THEN 'rare' ELSE 'p-' || n END, n::text, CASE WHEN n < 4 THEN 'crash_loop' ELSE 'rule' END,
            '', 1, repeat('x', 600), '{}', '' FROM generate_series(1, $1) AS n`,
    `INSERT INTO cases (game_id, player_id, metric, findings, first_finding_id, last_finding_id, latest_finding_at, max_abs_z)
     SELECT 'g', 'p-' || n, CASE WHEN n < 4 THEN 'rare' ELSE 'xp-gain' END, 1, n, n, now() + make_interval(secs => n), 9
       FROM generate_series(1, $1) AS n`,
    `INSERT INTO admin_audit (game_id, seq, at_ms, actor, action, subject, details, request_id, previous_hash, hash)
     SELECT 'g', n, n * ${String(HOUR_MS)}::bigint, 'ann', 'player.hide', 'player p', '{}', '', '', '' FROM generate_series(1, $1) AS n`,
  ])
    await world.db.query(text, [ROWS]);
  await world.db.query(
    'ANALYZE leaderboard_snapshots, player_profiles, player_state, dead_letters, cases, admin_audit',
  );
});
afterAll(() => world.close());

const ROWS_READ = `
  SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint AS rows FROM pg_stat_xact_user_tables WHERE relname = ANY($1)`;

/** How many rows of tables the server read. */
function rowsReadBy(work: (sql: Sql) => Promise<unknown>, tables: readonly string[]): Promise<number> {
  const soFar = async (sql: Sql): Promise<number> =>
    (await sql.query<{ rows: number }>(ROWS_READ, [tables]))[0]?.rows ?? 0;
  return world.games.read('g', async (sql) => {
    const before = await soFar(sql);
    await work(sql);
    return (await soFar(sql)) - before;
  });
}

const XP = { order: 'desc', subjectField: null } as Board;
const SEASON = { gameId: 'g', board: 'xp', cycle: 'seasonal:s1', partition: '' };
const AFTER_2000 = { subject: 'p-02000', score: ROWS - 2_000, reachedAtMs: 2_000 };
const pageAfter2000 = (sql: Sql): ReturnType<typeof readSnapshot> =>
  readSnapshot(sql, new HiddenPlaces(), SEASON, XP, { kind: 'top', limit: LIMIT, after: AFTER_2000 });

const firstLetters = (sql: Sql, filter: object): Promise<unknown> =>
  listLetters(sql, { gameId: 'g', ...filter }, { beforeId: null, limit: LIMIT });

const ANY = { actor: null, action: null, subject: null, sinceMs: null, beforeMs: null };
const LONG_AGO = { ...ANY, beforeMs: 100 * HOUR_MS };

const READS: readonly (readonly [
  what: string,
  tables: readonly string[],
  work: (sql: Sql) => Promise<unknown>,
])[] = [
  ['a page far down a final board', ['leaderboard_snapshots'], pageAfter2000],
  [
    'a search for players',
    ['player_profiles', 'player_state'],
    (sql) => searchPlayers(sql, 'g', { ...A_PAGE, prefix: 'p-02' }),
  ],
  ['letters of one player', ['dead_letters'], (sql) => firstLetters(sql, { playerId: 'rare' })],
  ['letters of a rare reason', ['dead_letters'], (sql) => firstLetters(sql, { reason: 'crash_loop' })],
  [
    'cases of a rare metric',
    ['cases', 'player_state'],
    (sql) => listCases(sql, { gameId: 'g', metric: 'rare', ...A_PAGE }),
  ],
  ['audit entries of a day long ago', ['admin_audit'], (sql) => readAudit(sql, 'g', LONG_AGO, A_PAGE)],
];

test('a page far down a final board begins after its cursor', async () => {
  const page = await world.games.read('g', pageAfter2000);
  expect(page?.entries.map(({ rank }) => rank)).toEqual(Array.from({ length: LIMIT }, (_, n) => 2_001 + n));
});

test.each(READS)('%s: the page is read, and not the table', async (_, tables, work) => {
  // From the sixth time on a prepared statement may have a plan for any value.
  for (let time = 0; time < 7; time += 1)
    expect(await rowsReadBy(work, tables)).toBeLessThanOrEqual(READ_MAX);
});

test('after somebody is hidden the place of that one is asked, and of nobody else', async () => {
  const hiddenPlaces = new HiddenPlaces();
  const hide = (from: number, to: number): Promise<unknown> =>
    world.db.query(
      `UPDATE player_state SET hidden = true, revision = revision + 1
        WHERE game_id = 'g' AND player_id BETWEEN 'p-' || lpad($1::text, 5, '0') AND 'p-' || lpad($2::text, 5, '0')`,
      [from, to],
    );
  const ask = (sql: Sql): Promise<readonly number[]> => hiddenPlaces.of(sql, SEASON);
  await hide(101, 200);
  expect(await world.games.read('g', ask)).toEqual(Array.from({ length: 100 }, (_, n) => 101 + n));
  await hide(7, 7);
  expect(await rowsReadBy(ask, ['leaderboard_snapshots'])).toBe(1);
  expect((await world.games.read('g', ask)).slice(0, 2)).toEqual([7, 101]);
});
