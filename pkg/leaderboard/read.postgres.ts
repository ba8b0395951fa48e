import type { Board } from '../games/port.js';
import type { Database, Sql } from '../postgres/port.js';
import type {
  BoardKey,
  BoardQuestion,
  BoardReader,
  BoardRows,
  BoardSlice,
  CycleRecord,
  Entry,
  Place,
} from './port.js';

const CYCLE = `
SELECT epoch, closes_at, final_at, revised, updated_at FROM board_cycles
WHERE game_id = $1 AND board = $2 AND cycle = $3 AND partition = $4`;

/** The statements that read one table in one order. $1..$4 name the cycle, $5 says whether it ranks players. */
interface Statements {
  readonly count: string;
  /** Rows that stand before the place $6, $7, $8. */
  readonly countBefore: string;
  /** $6 rows from the best. */
  readonly first: string;
  /** $9 rows after the place $6, $7, $8. */
  readonly after: string;
  /** $9 rows before the place $6, $7, $8, the nearest first. */
  readonly before: string;
  /** The rows of the subjects $6. */
  readonly subjects: string;
  /** The same with their ranks, in one pass over the cycle. */
  readonly ranked: string;
}

function statements(rows: BoardRows, order: Board['order']): Statements {
  const table = rows === 'live' ? 'board_scores' : 'leaderboard_snapshots';
  const shown = `
    game_id = $1 AND board = $2 AND cycle = $3 AND partition = $4
    AND NOT ($5::boolean AND EXISTS (
      SELECT 1 FROM player_state p WHERE p.game_id = s.game_id AND p.player_id = s.subject AND p.hidden))`;
  const select = `SELECT subject, score, reached_at FROM ${table} s WHERE ${shown}`;
  const count = `SELECT count(*) AS count FROM ${table} s WHERE ${shown}`;
  const best = order === 'desc' ? 'score DESC' : 'score';
  const worst = order === 'desc' ? 'score' : 'score DESC';
  const [better, worse] = order === 'desc' ? ['>', '<'] : ['<', '>'];
  const isAfter = `score ${worse}= $6::bigint AND (score ${worse} $6 OR (reached_at, subject) > ($7::bigint, $8::text))`;
  const isBefore = `score ${better}= $6::bigint AND (score ${better} $6 OR (reached_at, subject) < ($7::bigint, $8::text))`;
  return {
    count,
    countBefore: `${count} AND ${isBefore}`,
    first: `${select} ORDER BY ${best}, reached_at, subject LIMIT $6`,
    after: `${select} AND ${isAfter} ORDER BY ${best}, reached_at, subject LIMIT $9`,
    before: `${select} AND ${isBefore} ORDER BY ${worst}, reached_at DESC, subject DESC LIMIT $9`,
    subjects: `${select} AND subject = ANY($6::text[])`,
    ranked: `SELECT subject, score, reached_at, rank FROM (
        SELECT subject, score, reached_at, row_number() OVER (ORDER BY ${best}, reached_at, subject) AS rank
          FROM ${table} s WHERE ${shown}) r
      WHERE subject = ANY($6::text[]) ORDER BY rank`,
  };
}

const STATEMENTS = {
  live: { asc: statements('live', 'asc'), desc: statements('live', 'desc') },
  snapshot: { asc: statements('snapshot', 'asc'), desc: statements('snapshot', 'desc') },
} as const;

interface PlaceRow {
  readonly subject: string;
  readonly score: number;
  readonly reached_at: number;
}

interface Reading {
  readonly sql: Sql;
  readonly statements: Statements;
  /** $1..$5 */
  readonly board: readonly unknown[];
}

/** Boards read from the truth. A rank is the number of rows before, hidden players left out. */
export function postgresBoardReader(db: Database): BoardReader {
  return {
    async cycle(key) {
      const [row] = await db.query<CycleRow>(CYCLE, [key.gameId, key.board, key.cycle, key.partition]);
      return row === undefined ? null : cycleRecord(row);
    },
    read: (key, board, rows, question) =>
      // One snapshot for the page, its first rank and the total.
      db.transaction(
        (sql) =>
          answer(
            { sql, statements: STATEMENTS[rows][board.order], board: boardValues(key, board) },
            question,
          ),
        {
          isolation: 'repeatable read',
          readOnly: true,
        },
      ),
  };
}

interface CycleRow {
  readonly epoch: number;
  readonly closes_at: Date | null;
  readonly final_at: Date | null;
  readonly revised: boolean;
  readonly updated_at: Date;
}

const cycleRecord = (row: CycleRow): CycleRecord => ({
  epoch: row.epoch,
  closesAtMs: row.closes_at?.getTime() ?? null,
  finalAtMs: row.final_at?.getTime() ?? null,
  revised: row.revised,
  updatedAtMs: row.updated_at.getTime(),
});

const boardValues = (key: BoardKey, board: Board): readonly unknown[] => [
  key.gameId,
  key.board,
  key.cycle,
  key.partition,
  board.subjectField === null,
];

async function answer(reading: Reading, question: BoardQuestion): Promise<BoardSlice> {
  const total = await countOf(reading, reading.statements.count, []);
  switch (question.kind) {
    case 'top':
      return { total, entries: await topEntries(reading, question.limit, question.after) };
    case 'around':
      return { total, entries: await entriesAround(reading, question.subject, question.limit, total) };
    case 'subjects':
      return { total, entries: await entriesOf(reading, question.subjects) };
  }
}

async function topEntries(reading: Reading, limit: number, after: Place | null): Promise<readonly Entry[]> {
  const places =
    after === null
      ? await placesOf(reading, reading.statements.first, [limit])
      : await placesOf(reading, reading.statements.after, [...placeValues(after), limit]);
  return ranked(places, await ranksBefore(reading, places[0]));
}

async function entriesAround(
  reading: Reading,
  subject: string,
  limit: number,
  total: number,
): Promise<readonly Entry[]> {
  const [own] = await placesOf(reading, reading.statements.subjects, [[subject]]);
  if (own === undefined) return [];
  const rank = await ranksBefore(reading, own);
  const first = Math.max(0, Math.min(rank - Math.floor((limit - 1) / 2), total - limit));
  const { before, after } = reading.statements;
  const better = await placesOf(reading, before, [...placeValues(own), rank - first]);
  const worse = await placesOf(reading, after, [...placeValues(own), limit - 1 - better.length]);
  return ranked([...better.reverse(), own, ...worse], first);
}

async function entriesOf(reading: Reading, subjects: readonly string[]): Promise<readonly Entry[]> {
  const { sql, statements: text, board } = reading;
  const rows = await sql.query<PlaceRow & { readonly rank: number }>(text.ranked, [...board, subjects]);
  return rows.map(({ rank, ...row }) => ({ rank, ...placeOf(row) }));
}

async function countOf(
  { sql, board }: Reading,
  statement: string,
  values: readonly unknown[],
): Promise<number> {
  const [row] = await sql.query<{ count: number }>(statement, [...board, ...values]);
  return row?.count ?? 0;
}

const ranksBefore = async (reading: Reading, place: Place | undefined): Promise<number> =>
  place === undefined ? 0 : await countOf(reading, reading.statements.countBefore, placeValues(place));

async function placesOf(
  { sql, board }: Reading,
  statement: string,
  values: readonly unknown[],
): Promise<Place[]> {
  const rows = await sql.query<PlaceRow>(statement, [...board, ...values]);
  return rows.map(placeOf);
}

const placeOf = ({ subject, score, reached_at: reachedAtMs }: PlaceRow): Place => ({
  subject,
  score,
  reachedAtMs,
});

const placeValues = (place: Place): readonly unknown[] => [place.score, place.reachedAtMs, place.subject];

const ranked = (places: readonly Place[], before: number): Entry[] =>
  places.map((place, i) => ({ rank: before + i + 1, ...place }));
