import type { Database } from '../postgres/port.js';
import { boardId } from './fold.js';
import type { BoardKey } from './port.js';
import { IN_SLICE, keyColumns, sliceByCycle, SLICES, type SlicedCycle } from './slices.js';
import type { BoardTruth, CycleScope, OpenCycle, TruthRow, TruthSubject, ViewRow } from './view-port.js';

// The revision of the view is the sum of two numbers that only grow, read in one snapshot: equal sums mean equal rows.
const TRUTH_COLUMNS = `
  s.subject, s.score, s.reached_at, s.revision + coalesce(p.revision, 0) AS revision, coalesce(p.hidden, false) AS hidden`;
const CYCLE_COLUMNS = `c.game_id, c.board, c.cycle, c.partition, c.epoch, c.closes_at, c.definition_version`;

// One value instead of a row per score, because the driver reads it faster. OFFSET 0 keeps the planner from joining whole
// tables, however wrong the statistics are. Nearly no subject has a state, so states come beside the scores.
const ROWS = `
SELECT
  (SELECT coalesce(json_agg(json_build_array(k.n, s.subject, s.score, s.reached_at, s.revision)), '[]')
   ${SLICES}
   CROSS JOIN LATERAL (
     SELECT l.subject, l.score, l.reached_at, l.revision FROM board_scores l WHERE ${IN_SLICE} OFFSET 0
   ) AS s) AS scores,
  (SELECT coalesce(json_agg(json_build_array(p.game_id, p.player_id, p.revision, p.hidden)), '[]') FROM player_state p
   WHERE p.game_id = ANY($1) AND p.player_id = ANY($8::text[])) AS states,
  (SELECT coalesce(json_agg(json_build_array(k.n, c.epoch, c.definition_version, extract(epoch FROM c.closes_at) * 1000)), '[]')
   ${SLICES}
   CROSS JOIN LATERAL (
     SELECT l.epoch, l.definition_version, l.closes_at FROM board_cycles l
     WHERE l.game_id = k.game_id AND l.board = k.board AND l.cycle = k.cycle AND l.partition = k.partition
       AND l.final_at IS NULL OFFSET 0
   ) AS c) AS cycles`;

const ROWS_OF_PLAYER = `
SELECT ${CYCLE_COLUMNS}, ${TRUTH_COLUMNS}
FROM board_scores s
JOIN board_cycles c USING (game_id, board, cycle, partition)
LEFT JOIN player_state p ON p.game_id = s.game_id AND p.player_id = s.subject
WHERE s.game_id = $1 AND s.subject = $2 AND s.subject <> '' AND c.final_at IS NULL`;

const IS_OPEN = `
SELECT EXISTS (SELECT FROM board_cycles
                WHERE game_id = $1 AND board = $2 AND cycle = $3 AND partition = $4 AND final_at IS NULL) AS "isOpen"`;

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

const keyValues = (key: BoardKey): string[] => [key.gameId, key.board, key.cycle, key.partition];

interface Found {
  readonly scores: readonly [
    cycle: number,
    subject: string,
    score: number,
    reachedAtMs: number,
    revision: number,
  ][];
  readonly states: readonly [gameId: string, playerId: string, revision: number, hidden: boolean][];
  readonly cycles: readonly [
    cycle: number,
    epoch: number,
    definitionVersion: number,
    closesAtMs: number | null,
  ][];
}

function truthRows(
  { scores, states, cycles }: Found,
  keys: readonly SlicedCycle[],
  rankingPlayers: ReadonlySet<string>,
): TruthRow[] {
  const stateOf = new Map(
    states.map(([gameId, playerId, ...state]) => [`${gameId}\u0000${playerId}`, state]),
  );
  const open = new Map(
    cycles.flatMap(([n, epoch, definitionVersion, closesAtMs]) => {
      const sliced = keys[n - 1];
      if (sliced === undefined) return [];
      const { id, key } = sliced;
      const cycle: OpenCycle = { key, epoch, closesAtMs, definitionVersion };
      return [[n, { cycle, ranksPlayers: rankingPlayers.has(id) }]];
    }),
  );
  const rows: TruthRow[] = [];
  for (const [n, subject, score, reachedAtMs, revision] of scores) {
    const found = open.get(n);
    if (found === undefined) continue; // final
    const { cycle, ranksPlayers } = found;
    const state = ranksPlayers ? stateOf.get(`${cycle.key.gameId}\u0000${subject}`) : undefined;
    const [changes, hidden] = state ?? [0, false];
    rows.push({ cycle, row: { subject, score, reachedAtMs, revision: revision + changes, hidden } });
  }
  return rows;
}

/** The truth as the view needs it. */
export function postgresBoardTruth(db: Database): BoardTruth {
  return {
    async rows(subjects: readonly TruthSubject[]) {
      const { cycles, values } = sliceByCycle(subjects.map(({ key, subject }) => ({ ...key, subject })));
      const players = new Set(
        subjects.filter(({ ranksPlayers }) => ranksPlayers).map(({ subject }) => subject),
      );
      const [found] = await db.query<Found>(ROWS, [...values, [...players]]);
      const rankingPlayers = new Set(
        subjects.filter((one) => one.ranksPlayers).map(({ key }) => boardId(key)),
      );
      return found === undefined ? [] : truthRows(found, cycles, rankingPlayers);
    },
    async rowsOfPlayer(gameId: string, playerId: string) {
      return (await db.query<CycleRow & ScoreRow>(ROWS_OF_PLAYER, [gameId, playerId])).map(truthRow);
    },
    async isOpen(key: BoardKey) {
      const [found] = await db.query<{ isOpen: boolean }>(IS_OPEN, keyValues(key));
      return found?.isOpen === true;
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
