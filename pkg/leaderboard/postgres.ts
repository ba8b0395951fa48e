import { PoisonError } from '../kernel/errors.js';
import { plainArray } from '../postgres/plain-array.js';
import type { Sql } from '../postgres/port.js';
import type { RoleEvent } from '../worker/port.js';
import {
  boardId,
  contributionsOf,
  isSame,
  mergeScores,
  type BoardChanges,
  type ChangedScore,
  type Contribution,
  type LockedScores,
  type ScoreKey,
  type StoredScore,
  type TouchedCycle,
} from './fold.js';
import { IN_SLICE, keyColumns, sliceByCycle, SLICES } from './slices.js';

// Cycles in the order of the arrays, subjects in byte order: every transaction locks in one order. One JSON value for each
// column instead of a row per score, because both the server and the driver are faster with it; no number passes 2^53.
const LOCK_SCORES = `
SELECT json_agg(k.n) AS cycles, json_agg(s.subject) AS subjects, json_agg(s.score) AS scores,
       json_agg(s.reached_at) AS reached_at, json_agg(s.reached_id) AS reached_ids,
       json_agg(s.definition_version) AS versions, json_agg(s.revision) AS revisions, json_agg(s.ctid) AS places
${SLICES}
CROSS JOIN LATERAL (
  SELECT l.subject, l.score, l.reached_at, l.reached_id, l.definition_version, l.revision, l.ctid FROM board_scores l
  WHERE ${IN_SLICE}
  ORDER BY l.subject FOR UPDATE
) AS s`;

// A locked row stays in its place. It is found there without any index, and no index holds what is set here, so the new
// version needs no index entry either (a heap-only tuple).
const UPDATE_LOCKED = `
WITH saved AS (
  UPDATE board_scores s
  SET score = k.score, reached_at = k.reached_at, reached_id = k.reached_id, definition_version = k.definition_version,
      revision = k.revision
  FROM unnest($1::tid[], $2::bigint[], $3::bigint[], $4::text[], $5::int[], $6::bigint[])
    AS k (place, score, reached_at, reached_id, definition_version, revision)
  WHERE s.ctid = k.place AND s.revision = k.revision - 1
  RETURNING 1)
SELECT count(*) AS count FROM saved`;

const INSERT_ABSENT = `
WITH made AS (
  INSERT INTO board_scores (game_id, board, cycle, partition, subject, score, reached_at, reached_id, definition_version, revision)
  SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::text[], $9::int[], $10::bigint[])
  ON CONFLICT DO NOTHING
  RETURNING ctid)
SELECT coalesce(json_agg(ctid), '[]') AS places FROM made`;

// Held until the commit: a cycle closes either before this (then it is final here) or after it (then its snapshot has
// what this transaction wrote). The weakest lock does: closing takes FOR UPDATE, all other writers of the row pass.
const HOLD_CYCLES_OPEN = `
SELECT k.n, c.final_at IS NOT NULL AND NOT c.revised AS late
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
  WITH ORDINALITY AS k (game_id, board, cycle, partition, n)
CROSS JOIN LATERAL (
  SELECT l.final_at, l.revised FROM board_cycles l
  WHERE l.game_id = k.game_id AND l.board = k.board AND l.cycle = k.cycle AND l.partition = k.partition
  FOR KEY SHARE
) AS c`;

const CREATE_CYCLES = `
INSERT INTO board_cycles (game_id, board, cycle, partition, closes_at, definition_version)
SELECT game_id, board, cycle, partition, to_timestamp(closes_at_ms / 1000), definition_version
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::double precision[], $6::int[])
  AS k (game_id, board, cycle, partition, closes_at_ms, definition_version)
ON CONFLICT DO NOTHING`;

const MARK_REVISED = `
UPDATE board_cycles c SET revised = true
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS k (game_id, board, cycle, partition)
WHERE c.game_id = k.game_id AND c.board = k.board AND c.cycle = k.cycle AND c.partition = k.partition`;

/**
 * Locks the rows that the events contribute to, in key order; a subject without a row is absent from the answer. An event
 * that is poison is left for `fold` to refuse.
 */
export async function lockScores(sql: Sql, events: readonly RoleEvent[]): Promise<LockedScores> {
  const keys = new Map<string, ScoreKey>();
  for (const event of events) {
    for (const { id, key } of readable(event)) keys.set(id, key);
  }
  return lockKeys(sql, keys.values());
}

function readable(event: RoleEvent): readonly Contribution[] {
  try {
    return contributionsOf(event);
  } catch (error) {
    if (error instanceof PoisonError) return [];
    throw error;
  }
}

/** Locked rows by columns; null: no row. */
interface LockedColumns {
  readonly cycles: readonly number[] | null;
  readonly subjects: readonly string[];
  readonly scores: readonly number[];
  readonly reached_at: readonly number[];
  readonly reached_ids: readonly string[];
  readonly versions: readonly number[];
  readonly revisions: readonly number[];
  readonly places: readonly string[];
}

/** Locks the rows of these keys, in key order; a key without a row is absent from the answer. */
export async function lockKeys(sql: Sql, keys: Iterable<ScoreKey>): Promise<LockedScores> {
  const { cycles, values } = sliceByCycle(keys);
  const locked = new Map<string, StoredScore>();
  if (cycles.length === 0) return locked;
  const [found] = await sql.query<LockedColumns>(LOCK_SCORES, values);
  for (const [i, cycle] of found?.cycles?.entries() ?? []) {
    const id = cycles[cycle - 1]?.id;
    if (found === undefined || id === undefined) throw new Error('a locked row was not asked for');
    locked.set(`${id}\u0000${found.subjects[i] as string}`, {
      score: found.scores[i] as number,
      reachedAtMs: found.reached_at[i] as number,
      reachedId: found.reached_ids[i] as string,
      definitionVersion: found.versions[i] as number,
      revision: found.revisions[i] as number,
      place: found.places[i] as string,
    });
  }
  return locked;
}

/** Saves what changed, creates the rows of new cycles, and marks closed ones that changed as revised. */
export async function saveScores(sql: Sql, { scores, cycles }: BoardChanges): Promise<void> {
  if (scores.length === 0) return;
  await updateLocked(
    sql,
    scores.filter(({ row }) => row.place !== null),
  );
  await insertAbsent(
    sql,
    scores.filter(({ row }) => row.place === null),
  );
  const late = await holdOpen(sql, [...cycles].sort(inKeyOrder));
  const changed = new Set(scores.map(({ key }) => boardId(key)));
  const revised = late.filter(({ key }) => changed.has(boardId(key)));
  if (revised.length > 0) await sql.query(MARK_REVISED, keyColumns(revised.map(({ key }) => key)));
}

/** Sets locked rows, each with the revision after the one it was locked with. */
export async function updateLocked(sql: Sql, scores: readonly ChangedScore[]): Promise<void> {
  if (scores.length === 0) return;
  const values = [scores.map(({ row }) => row.place), ...rowColumns(scores)];
  const [saved] = await sql.query<{ count: number }>(UPDATE_LOCKED, values);
  if (saved?.count !== scores.length) throw new Error('a row of board_scores moved although it was locked');
}

/**
 * Inserts in key order. A row that another transaction inserted since the lock stands in the way: it is locked, what was
 * to be inserted is counted into it, and it is updated. Only then are locks taken out of order, and PostgreSQL may have to
 * end one of two transactions, which dispatch runs again.
 */
async function insertAbsent(sql: Sql, absent: readonly ChangedScore[]): Promise<void> {
  if (absent.length === 0) return;
  const scores = [...absent].sort((a, b) => (a.id < b.id ? -1 : 1));
  const keys = scores.map(({ key }) => key);
  const values = [...keyColumns(keys), keys.map(({ subject }) => subject), ...rowColumns(scores)];
  const [made] = await sql.query<{ places: readonly string[] }>(INSERT_ABSENT, values);
  if (made === undefined || made.places.length === scores.length) return;
  const own = new Set(made.places);
  const locked = await lockKeys(sql, keys);
  if (locked.size !== scores.length) throw new Error('a row of board_scores is gone although it stood there');
  await updateLocked(
    sql,
    scores.flatMap((score): ChangedScore[] => {
      const stored = locked.get(score.id);
      if (stored === undefined || own.has(stored.place ?? '')) return [];
      const merged = mergeScores(score.aggregate, stored, score.row);
      if (isSame(stored, merged)) return [];
      return [{ ...score, row: { ...merged, revision: stored.revision + 1, place: stored.place } }];
    }),
  );
}

/** Holds the cycles, creating those that are new. Answers those that are closed and not marked as revised yet. */
export async function holdOpen(sql: Sql, cycles: readonly TouchedCycle[]): Promise<readonly TouchedCycle[]> {
  const held = await hold(sql, cycles);
  const unknown = cycles.filter((_, i) => !held.has(i));
  if (unknown.length > 0) {
    await sql.query(CREATE_CYCLES, [
      ...keyColumns(unknown.map(({ key }) => key)),
      unknown.map(({ closesAtMs }) => closesAtMs),
      unknown.map(({ definitionVersion }) => definitionVersion),
    ]);
  }
  const created = unknown.length > 0 ? await hold(sql, unknown) : new Map<number, boolean>();
  return [
    ...cycles.filter((_, i) => held.get(i) === true),
    ...unknown.filter((_, i) => created.get(i) === true),
  ];
}

/** By place in the array, for those that are known: whether the cycle is closed and not marked as revised yet. */
export async function hold(
  sql: Sql,
  cycles: readonly Pick<TouchedCycle, 'key'>[],
): Promise<ReadonlyMap<number, boolean>> {
  const values = keyColumns(cycles.map(({ key }) => key));
  const rows = await sql.query<{ n: number; late: boolean }>(HOLD_CYCLES_OPEN, values);
  return new Map(rows.map(({ n, late }) => [n - 1, late]));
}

export const inKeyOrder = (a: TouchedCycle, b: TouchedCycle): number =>
  boardId(a.key) < boardId(b.key) ? -1 : 1;

const rowColumns = (scores: readonly ChangedScore[]): (string | readonly string[])[] => [
  plainArray(scores.map(({ row }) => row.score)),
  plainArray(scores.map(({ row }) => row.reachedAtMs)),
  scores.map(({ row }) => row.reachedId),
  plainArray(scores.map(({ row }) => row.definitionVersion)),
  plainArray(scores.map(({ row }) => row.revision)),
];
