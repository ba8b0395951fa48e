import type { Sql } from '../postgres/port.js';
import type { RoleEvent } from '../worker/port.js';
import { PoisonError } from '../kernel/errors.js';
import {
  boardId,
  contributionsOf,
  scoreId,
  type BoardChanges,
  type Contribution,
  type LockedScores,
} from './fold.js';
import type { ScoreKey, StoredScore, TouchedCycle } from './fold.js';

// Both inserts and the lock go through the keys in byte order, inserts first: two batches can wait for each other's rows
// in one direction only.

const CREATE_SCORES = `
INSERT INTO board_scores (game_id, board, cycle, partition, subject, score, reached_at, reached_id, definition_version, revision)
SELECT game_id, board, cycle, partition, subject, 0, 0, '', 0, 0
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) AS k (game_id, board, cycle, partition, subject)
ORDER BY game_id COLLATE "C", board COLLATE "C", cycle COLLATE "C", partition COLLATE "C", subject COLLATE "C"
ON CONFLICT DO NOTHING`;

const LOCK_SCORES = `
SELECT s.game_id, s.board, s.cycle, s.partition, s.subject, s.score, s.reached_at, s.reached_id, s.definition_version, s.revision
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) AS k (game_id, board, cycle, partition, subject)
JOIN board_scores s USING (game_id, board, cycle, partition, subject)
ORDER BY s.game_id, s.board, s.cycle, s.partition, s.subject
FOR UPDATE OF s`;

const SAVE_SCORES = `
UPDATE board_scores s
SET score = k.score, reached_at = k.reached_at, reached_id = k.reached_id, definition_version = k.definition_version, revision = k.revision
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::text[], $9::int[], $10::bigint[])
  AS k (game_id, board, cycle, partition, subject, score, reached_at, reached_id, definition_version, revision)
WHERE s.game_id = k.game_id AND s.board = k.board AND s.cycle = k.cycle AND s.partition = k.partition AND s.subject = k.subject`;

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

/** Creates the rows that the events contribute to and locks them. An event that is poison is left for `fold` to refuse. */
export async function lockScores(sql: Sql, events: readonly RoleEvent[]): Promise<LockedScores> {
  const keys = new Map<string, ScoreKey>();
  for (const event of events) {
    for (const { id, key } of readable(event)) keys.set(id, key);
  }
  if (keys.size === 0) return new Map();
  const columns = scoreColumns([...keys.values()]);
  await sql.query(CREATE_SCORES, columns);
  const rows = await sql.query<LockedRow>(LOCK_SCORES, columns);
  return new Map(rows.map((row) => [scoreId(keyOfRow(row)), storedOf(row)]));
}

function readable(event: RoleEvent): readonly Contribution[] {
  try {
    return contributionsOf(event);
  } catch (error) {
    if (error instanceof PoisonError) return [];
    throw error;
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
  const columns = cycleColumns(cycles);
  await sql.query(CREATE_CYCLES, [
    ...columns,
    cycles.map((cycle) => cycle.closesAtMs),
    cycles.map((cycle) => cycle.definitionVersion),
  ]);
  const held = await sql.query<CycleRow & { late: boolean }>(HOLD_CYCLES_OPEN, columns);
  const changed = new Set(scores.map(({ key }) => boardId(key)));
  const late = held.filter((row) => row.late).map((row) => ({ key: { ...row, gameId: row.game_id } }));
  const revised = late.filter(({ key }) => changed.has(boardId(key)));
  if (revised.length > 0) await sql.query(MARK_REVISED, cycleColumns(revised));
}

interface CycleRow {
  readonly game_id: string;
  readonly board: string;
  readonly cycle: string;
  readonly partition: string;
}

interface LockedRow extends CycleRow {
  readonly subject: string;
  readonly score: number;
  readonly reached_at: number;
  readonly reached_id: string;
  readonly definition_version: number;
  readonly revision: number;
}

const keyOfRow = (row: LockedRow): ScoreKey => ({
  gameId: row.game_id,
  board: row.board,
  cycle: row.cycle,
  partition: row.partition,
  subject: row.subject,
});

const storedOf = (row: LockedRow): StoredScore => ({
  score: row.score,
  reachedAtMs: row.reached_at,
  reachedId: row.reached_id,
  definitionVersion: row.definition_version,
  revision: row.revision,
});

const scoreColumns = (keys: readonly ScoreKey[]): string[][] => [
  keys.map((key) => key.gameId),
  keys.map((key) => key.board),
  keys.map((key) => key.cycle),
  keys.map((key) => key.partition),
  keys.map((key) => key.subject),
];

const cycleColumns = (cycles: readonly Pick<TouchedCycle, 'key'>[]): string[][] => [
  cycles.map(({ key }) => key.gameId),
  cycles.map(({ key }) => key.board),
  cycles.map(({ key }) => key.cycle),
  cycles.map(({ key }) => key.partition),
];
