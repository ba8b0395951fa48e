import type { Database } from '../postgres/port.js';
import type { DueCycle, SnapshotStore } from './snapshots.js';

const DUE = `
SELECT game_id, board, cycle, partition, closes_at, definition_version FROM board_cycles
WHERE final_at IS NULL AND closes_at <= to_timestamp($1::double precision / 1000)
  AND (closes_at, game_id, board, cycle, partition) > (to_timestamp($2::double precision / 1000), $3, $4, $5, $6)
ORDER BY closes_at, game_id, board, cycle, partition LIMIT $7`;

// Waits for every batch that holds the cycle open; batches that come later wait for this and find it final.
const LOCK = `
SELECT 1 FROM board_cycles
WHERE game_id = $1 AND board = $2 AND cycle = $3 AND partition = $4 AND final_at IS NULL
  AND date_trunc('milliseconds', closes_at) = to_timestamp($5::double precision / 1000)
FOR UPDATE`;

const MOVE_END = `
UPDATE board_cycles SET closes_at = to_timestamp($6::double precision / 1000)
WHERE game_id = $1 AND board = $2 AND cycle = $3 AND partition = $4 AND final_at IS NULL
  AND date_trunc('milliseconds', closes_at) = to_timestamp($5::double precision / 1000)`;

const NOW = 'SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now';

const copy = (best: string): string => `
INSERT INTO leaderboard_snapshots (game_id, board, cycle, partition, subject, score, reached_at, place)
SELECT game_id, board, cycle, partition, subject, score, reached_at, row_number() OVER (ORDER BY ${best}, reached_at, subject)
FROM board_scores WHERE game_id = $1 AND board = $2 AND cycle = $3 AND partition = $4`;
const COPY = { asc: copy('score'), desc: copy('score DESC') } as const;

const MARK_FINAL = `
UPDATE board_cycles SET final_at = to_timestamp($5::double precision / 1000)
WHERE game_id = $1 AND board = $2 AND cycle = $3 AND partition = $4`;

interface DueRow {
  readonly game_id: string;
  readonly board: string;
  readonly cycle: string;
  readonly partition: string;
  readonly closes_at: Date;
  readonly definition_version: number;
}

const dueCycle = (row: DueRow): DueCycle => ({
  key: { gameId: row.game_id, board: row.board, cycle: row.cycle, partition: row.partition },
  closesAtMs: row.closes_at.getTime(),
  definitionVersion: row.definition_version,
});

export const postgresSnapshots = (db: Database): SnapshotStore => ({
  async now() {
    const [row] = await db.query<{ now: number }>(NOW);
    if (row === undefined) throw new Error('the database told no time');
    return row.now;
  },
  async due(nowMs, after, limit) {
    const { gameId, board, cycle, partition } = after?.key ?? {
      gameId: '',
      board: '',
      cycle: '',
      partition: '',
    };
    const from = [after?.closesAtMs ?? 0, gameId, board, cycle, partition];
    return (await db.query<DueRow>(DUE, [nowMs, ...from, limit])).map(dueCycle);
  },
  async moveEnd({ key, closesAtMs }, newClosesAtMs) {
    await db.query(MOVE_END, [key.gameId, key.board, key.cycle, key.partition, closesAtMs, newClosesAtMs]);
  },
  close: ({ key: { gameId, board, cycle, partition }, closesAtMs }, order, nowMs) =>
    db.transaction(async (sql) => {
      const key = [gameId, board, cycle, partition];
      if ((await sql.query(LOCK, [...key, closesAtMs])).length === 0) return false;
      await sql.query(COPY[order], key);
      await sql.query(MARK_FINAL, [...key, nowMs]);
      return true;
    }),
});
