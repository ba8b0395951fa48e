import { PoisonError } from '../kernel/errors.js';
import type { Sql } from '../postgres/port.js';
import type { RoleEvent } from '../worker/port.js';
import { boardId, contributionsOf, type BoardChanges, type Contribution, type LockedScores } from './fold.js';
import type { ScoreKey, StoredScore } from './fold.js';
import type { BoardKey } from './port.js';

// Rows are locked in the order of the arrays, which lockScores sorts. The subquery locks, so the planner cannot turn it
// into a join that reads the whole table: it stays one index probe per key, however wrong the statistics are.
const LOCK_SCORES = `
SELECT k.n, s.score, s.reached_at, s.reached_id, s.definition_version, s.revision
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
  WITH ORDINALITY AS k (game_id, board, cycle, partition, subject, n)
CROSS JOIN LATERAL (
  SELECT l.score, l.reached_at, l.reached_id, l.definition_version, l.revision FROM board_scores l
  WHERE l.game_id = k.game_id AND l.board = k.board AND l.cycle = k.cycle AND l.partition = k.partition AND l.subject = k.subject
  FOR UPDATE
) AS s`;

const CREATE_SCORES = `
WITH made AS (
INSERT INTO board_scores (game_id, board, cycle, partition, subject, score, reached_at, reached_id, definition_version, revision)
SELECT game_id, board, cycle, partition, subject, 0, 0, '', 0, 0
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) AS k (game_id, board, cycle, partition, subject)
ON CONFLICT DO NOTHING
RETURNING 1)
SELECT count(*) AS made FROM made`;

// Every row is there and locked; ON CONFLICT is the update that finds each by one probe of the primary key.
const SAVE_SCORES = `
INSERT INTO board_scores (game_id, board, cycle, partition, subject, score, reached_at, reached_id, definition_version, revision)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::text[], $9::int[], $10::bigint[])
ON CONFLICT (game_id, board, cycle, partition, subject) DO UPDATE
SET score = excluded.score, reached_at = excluded.reached_at, reached_id = excluded.reached_id,
    definition_version = excluded.definition_version, revision = excluded.revision`;

const CREATE_CYCLES = `
INSERT INTO board_cycles (game_id, board, cycle, partition, closes_at, definition_version)
SELECT game_id, board, cycle, partition, to_timestamp(closes_at_ms / 1000), definition_version
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::double precision[], $6::int[])
  AS k (game_id, board, cycle, partition, closes_at_ms, definition_version)
ORDER BY game_id COLLATE "C", board COLLATE "C", cycle COLLATE "C", partition COLLATE "C"
ON CONFLICT DO NOTHING`;

// Held until the commit: a cycle closes either before this (then it is final here) or after it (then its snapshot has
// what this transaction wrote).
const HOLD_CYCLES_OPEN = `
SELECT c.game_id, c.board, c.cycle, c.partition, c.final_at IS NOT NULL AND NOT c.revised AS late
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS k (game_id, board, cycle, partition)
JOIN board_cycles c USING (game_id, board, cycle, partition)
WHERE c.closes_at IS NOT NULL
ORDER BY c.game_id, c.board, c.cycle, c.partition
FOR SHARE OF c`;

const MARK_REVISED = `
UPDATE board_cycles c SET revised = true
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS k (game_id, board, cycle, partition)
WHERE c.game_id = k.game_id AND c.board = k.board AND c.cycle = k.cycle AND c.partition = k.partition`;

const EMPTY: StoredScore = { score: 0, reachedAtMs: 0, reachedId: '', definitionVersion: 0, revision: 0 };

/**
 * Locks the rows that the events contribute to, creating those that are absent. An event that is poison is left for
 * `fold` to refuse.
 *
 * Existing rows are locked first, in key order, then absent ones are inserted, in key order; both cannot deadlock. Only
 * when another transaction inserted the same subject meanwhile are its rows locked out of order: then PostgreSQL may
 * have to end one of the two, which dispatch runs again.
 */
export async function lockScores(sql: Sql, events: readonly RoleEvent[]): Promise<LockedScores> {
  const keys = new Map<string, ScoreKey>();
  for (const event of events) {
    for (const { id, key } of readable(event)) keys.set(id, key);
  }
  const locked = new Map<string, StoredScore>();
  let absent = [...keys.keys()].sort();
  await lockInto(locked, sql, absent, keys);
  absent = absent.filter((id) => !locked.has(id));
  if (absent.length > 0) {
    const [created] = await sql.query<{ made: number }>(CREATE_SCORES, columnsOf(absent, keys));
    if (created?.made === absent.length) for (const id of absent) locked.set(id, EMPTY);
    else await lockInto(locked, sql, absent, keys);
  }
  if (locked.size !== keys.size) throw new Error('a row of board_scores is gone although it was just made');
  return locked;
}

function readable(event: RoleEvent): readonly Contribution[] {
  try {
    return contributionsOf(event);
  } catch (error) {
    if (error instanceof PoisonError) return [];
    throw error;
  }
}

async function lockInto(
  locked: Map<string, StoredScore>,
  sql: Sql,
  ids: readonly string[],
  keys: ReadonlyMap<string, ScoreKey>,
): Promise<void> {
  if (ids.length === 0) return;
  for (const row of await sql.query<LockedRow>(LOCK_SCORES, columnsOf(ids, keys))) {
    const id = ids[row.n - 1];
    if (id === undefined) throw new Error('a locked row was not asked for');
    locked.set(id, storedOf(row));
  }
}

/** Saves what changed, creates the rows of new cycles, and marks closed ones that changed as revised. */
export async function saveScores(sql: Sql, { scores, cycles }: BoardChanges): Promise<void> {
  if (scores.length === 0) return;
  const rows = scores.map(({ row }) => row);
  await sql.query(SAVE_SCORES, [
    ...scoreColumns(scores.map(({ key }) => key)),
    rows.map((row) => row.score),
    rows.map((row) => row.reachedAtMs),
    rows.map((row) => row.reachedId),
    rows.map((row) => row.definitionVersion),
    rows.map((row) => row.revision),
  ]);
  const columns = cycleColumns(cycles.map(({ key }) => key));
  await sql.query(CREATE_CYCLES, [
    ...columns,
    cycles.map((cycle) => cycle.closesAtMs),
    cycles.map((cycle) => cycle.definitionVersion),
  ]);
  const held = await sql.query<HeldCycle>(HOLD_CYCLES_OPEN, columns);
  const changed = new Set(scores.map(({ key }) => boardId(key)));
  const revised = held
    .filter((row) => row.late)
    .map((row): BoardKey => ({
      gameId: row.game_id,
      board: row.board,
      cycle: row.cycle,
      partition: row.partition,
    }))
    .filter((key) => changed.has(boardId(key)));
  if (revised.length > 0) await sql.query(MARK_REVISED, cycleColumns(revised));
}

interface HeldCycle {
  readonly game_id: string;
  readonly board: string;
  readonly cycle: string;
  readonly partition: string;
  readonly late: boolean;
}

interface LockedRow {
  /** Place in the arrays, from 1. */
  readonly n: number;
  readonly score: number;
  readonly reached_at: number;
  readonly reached_id: string;
  readonly definition_version: number;
  readonly revision: number;
}

const storedOf = (row: LockedRow): StoredScore => ({
  score: row.score,
  reachedAtMs: row.reached_at,
  reachedId: row.reached_id,
  definitionVersion: row.definition_version,
  revision: row.revision,
});

function columnsOf(ids: readonly string[], keys: ReadonlyMap<string, ScoreKey>): string[][] {
  return scoreColumns(ids.flatMap((id) => keys.get(id) ?? []));
}

const scoreColumns = (keys: readonly ScoreKey[]): string[][] => [
  ...cycleColumns(keys),
  keys.map((key) => key.subject),
];

const cycleColumns = (keys: readonly BoardKey[]): string[][] => [
  keys.map((key) => key.gameId),
  keys.map((key) => key.board),
  keys.map((key) => key.cycle),
  keys.map((key) => key.partition),
];
