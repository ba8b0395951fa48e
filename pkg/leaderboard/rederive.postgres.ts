import type { Sql } from '../postgres/port.js';
import type { PlayerRef } from '../worker/port.js';
import type { BoardKey } from './port.js';
import { scoreId, type Score, type ScoreKey } from './fold.js';
import { keyColumns } from './slices.js';

const KEYS_OF_SUBJECT = `
SELECT game_id AS "gameId", board, cycle, partition, subject FROM board_scores
WHERE game_id = $1 AND subject = $2 AND subject <> ''`;

/** Every row that a subject has, on whatever board. */
export const keysOfSubject = (sql: Sql, { gameId, playerId }: PlayerRef): Promise<ScoreKey[]> =>
  sql.query<ScoreKey>(KEYS_OF_SUBJECT, [gameId, playerId]);

// Revision 0 says that it holds nothing yet. Whoever wants to make the same row waits for the end of this transaction.
const MAKE_ROOM = `
INSERT INTO board_scores (game_id, board, cycle, partition, subject, score, reached_at, reached_id, definition_version, revision)
SELECT game_id, board, cycle, partition, subject, 0, 0, '', 0, 0
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) AS k (game_id, board, cycle, partition, subject)
ON CONFLICT DO NOTHING`;

/** Makes empty rows for keys that have none, in key order. */
export async function makeRoom(sql: Sql, keys: readonly ScoreKey[]): Promise<void> {
  if (keys.length === 0) return;
  const ordered = [...keys].sort((a, b) => (scoreId(a) < scoreId(b) ? -1 : 1));
  await sql.query(MAKE_ROOM, [...keyColumns(ordered), ordered.map(({ subject }) => subject)]);
}

const REMOVE = 'DELETE FROM board_scores WHERE ctid = ANY($1::tid[])';

/** Removes rows that this transaction has locked, by their places. */
export async function removeLocked(sql: Sql, places: readonly string[]): Promise<void> {
  if (places.length > 0) await sql.query(REMOVE, [places]);
}

// A snapshot never changes: where a score is not what it froze, the cycle is revised. A row that was made or removed begins
// its revisions anew, and a view that knows a later one would not take it: such a view is void.
const SETTLE_CYCLES = `
UPDATE board_cycles c
SET updated_at = now(), revised = c.revised OR v.differs,
    epoch = CASE WHEN v.anew AND c.final_at IS NULL AND c.epoch % 2 = 0 THEN c.epoch + 1 ELSE c.epoch END
FROM (
  SELECT l.game_id, l.board, l.cycle, l.partition, k.anew,
         l.final_at IS NOT NULL AND NOT EXISTS (
           SELECT 1 FROM board_scores s JOIN leaderboard_snapshots n USING (game_id, board, cycle, partition, subject, score, reached_at)
           WHERE (s.game_id, s.board, s.cycle, s.partition, s.subject) = (k.game_id, k.board, k.cycle, k.partition, $6)
         ) AND EXISTS (
           SELECT 1 FROM board_scores s
           WHERE (s.game_id, s.board, s.cycle, s.partition, s.subject) = (k.game_id, k.board, k.cycle, k.partition, $6)
           UNION ALL
           SELECT 1 FROM leaderboard_snapshots n
           WHERE (n.game_id, n.board, n.cycle, n.partition, n.subject) = (k.game_id, k.board, k.cycle, k.partition, $6)
         ) AS differs
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::boolean[]) AS k (game_id, board, cycle, partition, anew)
  JOIN board_cycles l USING (game_id, board, cycle, partition)
  ORDER BY l.game_id, l.board, l.cycle, l.partition
  FOR NO KEY UPDATE OF l
) AS v
WHERE c.game_id = v.game_id AND c.board = v.board AND c.cycle = v.cycle AND c.partition = v.partition`;

export interface SettledCycle {
  readonly key: BoardKey;
  /** Whether the subject's row was made or removed, rather than changed. */
  readonly isAnew: boolean;
}

/** Tells cycles that the row of a subject is another now: their time, whether they are revised, and whether their view is void. */
export async function settleCycles(
  sql: Sql,
  subject: string,
  cycles: readonly SettledCycle[],
): Promise<void> {
  if (cycles.length === 0) return;
  const columns = keyColumns(cycles.map(({ key }) => key));
  await sql.query(SETTLE_CYCLES, [...columns, cycles.map(({ isAnew }) => isAnew), subject]);
}

/** The versions that a game has. */
export async function versionsOf(sql: Sql, gameId: string): Promise<number[]> {
  const rows = await sql.query<{ version: number }>(
    'SELECT version FROM game_definitions WHERE game_id = $1',
    [gameId],
  );
  return rows.map(({ version }) => version);
}

const SCORES_AFTER = `
SELECT game_id AS "gameId", board, cycle, partition, subject, score, reached_at AS "reachedAtMs", reached_id AS "reachedId",
       definition_version AS "definitionVersion"
FROM board_scores
WHERE game_id = $1 AND board = ANY($2) AND (board, cycle, partition, subject) > ($3, $4, $5, $6)
ORDER BY board, cycle, partition, subject LIMIT $7`;

/** The next rows of some boards, in key order; null: the first. */
export const scoresAfter = (
  sql: Sql,
  gameId: string,
  boards: readonly string[],
  after: ScoreKey | null,
  limit: number,
): Promise<(ScoreKey & Score)[]> => {
  const { board, cycle, partition, subject } = after ?? { board: '', cycle: '', partition: '', subject: '' };
  return sql.query<ScoreKey & Score>(SCORES_AFTER, [gameId, boards, board, cycle, partition, subject, limit]);
};
