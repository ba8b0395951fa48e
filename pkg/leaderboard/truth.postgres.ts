import type { Database } from '../postgres/port.js';
import type { BoardKey } from './port.js';
import type { BoardTruth, CycleScope, OpenCycle, TruthRow, TruthSubject, ViewRow } from './view-port.js';

// The revision of the view is the sum of two numbers that only grow, read in one snapshot: equal sums mean equal rows.
const TRUTH_COLUMNS = `
  s.subject, s.score, s.reached_at, s.revision + coalesce(p.revision, 0) AS revision, coalesce(p.hidden, false) AS hidden`;
const CYCLE_COLUMNS = `c.game_id, c.board, c.cycle, c.partition, c.epoch, c.closes_at, c.definition_version`;

// OFFSET 0 keeps the planner from joining the whole table: one index probe per key, however wrong the statistics are.
const ROWS = `
SELECT ${CYCLE_COLUMNS}, ${TRUTH_COLUMNS}
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::boolean[])
  AS k (game_id, board, cycle, partition, subject, ranks_players)
CROSS JOIN LATERAL (
  SELECT l.subject, l.score, l.reached_at, l.revision FROM board_scores l
  WHERE l.game_id = k.game_id AND l.board = k.board AND l.cycle = k.cycle AND l.partition = k.partition AND l.subject = k.subject
  OFFSET 0
) AS s
JOIN board_cycles c USING (game_id, board, cycle, partition)
LEFT JOIN player_state p ON k.ranks_players AND p.game_id = k.game_id AND p.player_id = k.subject
WHERE c.final_at IS NULL`;

const ROWS_OF_PLAYER = `
SELECT ${CYCLE_COLUMNS}, ${TRUTH_COLUMNS}
FROM board_scores s
JOIN board_cycles c USING (game_id, board, cycle, partition)
LEFT JOIN player_state p ON p.game_id = s.game_id AND p.player_id = s.subject
WHERE s.game_id = $1 AND s.subject = $2 AND c.final_at IS NULL`;

const PAGE = `
SELECT ${TRUTH_COLUMNS}
FROM board_scores s
LEFT JOIN player_state p ON $5 AND p.game_id = s.game_id AND p.player_id = s.subject
WHERE s.game_id = $1 AND s.board = $2 AND s.cycle = $3 AND s.partition = $4 AND s.subject > $6
ORDER BY s.subject LIMIT $7`;

// An even epoch is a build's, an odd one says that the view is void: so voiding twice raises once.
const RAISE_FOR_BUILD = `
UPDATE board_cycles SET epoch = epoch + 2 - epoch % 2
WHERE game_id = $1 AND board = $2 AND cycle = $3 AND partition = $4 AND epoch = $5 AND final_at IS NULL
RETURNING epoch`;

const VOID = `
UPDATE board_cycles c SET epoch = c.epoch + 1
FROM (
  SELECT l.game_id, l.board, l.cycle, l.partition
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS k (game_id, board, cycle, partition)
  JOIN board_cycles l USING (game_id, board, cycle, partition)
  WHERE l.epoch % 2 = 0
  ORDER BY l.game_id, l.board, l.cycle, l.partition
  FOR NO KEY UPDATE OF l
) AS v
WHERE c.game_id = v.game_id AND c.board = v.board AND c.cycle = v.cycle AND c.partition = v.partition AND c.epoch % 2 = 0`;

const TOUCH = `
UPDATE board_cycles c SET updated_at = now()
FROM (
  SELECT l.game_id, l.board, l.cycle, l.partition
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS k (game_id, board, cycle, partition)
  JOIN board_cycles l USING (game_id, board, cycle, partition)
  ORDER BY l.game_id, l.board, l.cycle, l.partition
  FOR NO KEY UPDATE OF l
) AS v
WHERE c.game_id = v.game_id AND c.board = v.board AND c.cycle = v.cycle AND c.partition = v.partition`;

const OPEN_CYCLES = `
SELECT ${CYCLE_COLUMNS} FROM board_cycles c
WHERE c.final_at IS NULL AND (c.game_id, c.board, c.cycle, c.partition) > ($1, $2, $3, $4)
  AND ($5::text IS NULL OR c.game_id = $5) AND ($6::text IS NULL OR c.board = $6)
ORDER BY c.game_id, c.board, c.cycle, c.partition LIMIT $7`;

const CHANGED_PLAYERS = `
SELECT game_id, player_id FROM player_state
WHERE changed_at > now() - make_interval(secs => $1) ORDER BY changed_at DESC LIMIT $2`;

interface ScoreRow {
  readonly subject: string;
  readonly score: number;
  readonly reached_at: number;
  readonly revision: number;
  readonly hidden: boolean;
}

interface CycleRow {
  readonly game_id: string;
  readonly board: string;
  readonly cycle: string;
  readonly partition: string;
  readonly epoch: number;
  readonly closes_at: Date | null;
  readonly definition_version: number;
}

const viewRow = (row: ScoreRow): ViewRow => ({
  subject: row.subject,
  score: row.score,
  reachedAtMs: row.reached_at,
  revision: row.revision,
  hidden: row.hidden,
});

const openCycle = (row: CycleRow): OpenCycle => ({
  key: { gameId: row.game_id, board: row.board, cycle: row.cycle, partition: row.partition },
  epoch: row.epoch,
  closesAtMs: row.closes_at?.getTime() ?? null,
  definitionVersion: row.definition_version,
});

const truthRow = (row: CycleRow & ScoreRow): TruthRow => ({ cycle: openCycle(row), row: viewRow(row) });

const keyColumns = (keys: readonly BoardKey[]): string[][] => [
  keys.map((key) => key.gameId),
  keys.map((key) => key.board),
  keys.map((key) => key.cycle),
  keys.map((key) => key.partition),
];
const keyValues = (key: BoardKey): string[] => [key.gameId, key.board, key.cycle, key.partition];

/** The truth as the view needs it. */
export function postgresBoardTruth(db: Database): BoardTruth {
  return {
    async rows(subjects: readonly TruthSubject[]) {
      const rows = await db.query<CycleRow & ScoreRow>(ROWS, [
        ...keyColumns(subjects.map(({ key }) => key)),
        subjects.map(({ subject }) => subject),
        subjects.map(({ ranksPlayers }) => ranksPlayers),
      ]);
      return rows.map(truthRow);
    },
    async rowsOfPlayer(gameId: string, playerId: string) {
      return (await db.query<CycleRow & ScoreRow>(ROWS_OF_PLAYER, [gameId, playerId])).map(truthRow);
    },
    async page(key: BoardKey, ranksPlayers: boolean, afterSubject: string, limit: number) {
      const values = [...keyValues(key), ranksPlayers, afterSubject, limit];
      return (await db.query<ScoreRow>(PAGE, values)).map(viewRow);
    },
    async raiseForBuild(key: BoardKey, seenEpoch: number) {
      const [raised] = await db.query<{ epoch: number }>(RAISE_FOR_BUILD, [...keyValues(key), seenEpoch]);
      return raised?.epoch ?? null;
    },
    async voidCycles(keys: readonly BoardKey[]) {
      await db.query(VOID, keyColumns(keys));
    },
    async touch(keys: readonly BoardKey[]) {
      await db.query(TOUCH, keyColumns(keys));
    },
    async openCycles(scope: CycleScope, after: BoardKey | null, limit: number) {
      const from = after === null ? ['', '', '', ''] : keyValues(after);
      const rows = await db.query<CycleRow>(OPEN_CYCLES, [
        ...from,
        scope.gameId ?? null,
        scope.board ?? null,
        limit,
      ]);
      return rows.map(openCycle);
    },
    async changedPlayers(withinSeconds: number, limit: number) {
      const rows = await db.query<{ game_id: string; player_id: string }>(CHANGED_PLAYERS, [
        withinSeconds,
        limit,
      ]);
      return rows.map((row) => ({ gameId: row.game_id, playerId: row.player_id }));
    },
  };
}
