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
import { HiddenPlaces, readSnapshot } from './snapshot-read.postgres.js';

const CYCLE = `
SELECT epoch, closes_at, final_at, revised, updated_at FROM board_cycles
WHERE game_id = $1 AND board = $2 AND cycle = $3 AND partition = $4`;

/** The statements that read one table in one order. $1..$4 name the cycle, $5 says whether it ranks players. */
interface Statements {
  readonly count: string;
  /** All rows, those before the place $6, $7, $8, and those after it: in one pass. */
  readonly counts: string;
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
    counts: `SELECT count(*) AS total, count(*) FILTER (WHERE ${isBefore}) AS before, count(*) FILTER (WHERE ${isAfter}) AS after
      FROM ${table} s WHERE ${shown}`,
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

/**
 * Boards read from the truth. A rank is the number of rows before, hidden players left out. A closed cycle costs the page; one
 * that is open is read whole, because no index holds a score.
 */
export function postgresBoardReader(db: Database, hiddenPlaces = new HiddenPlaces()): BoardReader {
  return {
    async cycle(key) {
      const [row] = await db.query<CycleRow>(CYCLE, [key.gameId, key.board, key.cycle, key.partition]);
      return row === undefined ? null : cycleRecord(row);
    },
    read: (key, board, rows, question) =>
      // One snapshot for the page, its first rank and the total.
      db.transaction(
        async (sql) => {
          const slice = rows === 'live' ? null : await readSnapshot(sql, hiddenPlaces, key, board, question);
          const statements = STATEMENTS[rows][board.order];
          return slice ?? answer({ sql, statements, board: boardValues(key, board) }, question);
        },
        { isolation: 'repeatable read', readOnly: true },
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
  switch (question.kind) {
    case 'top':
      return question.after === null
        ? firstPage(reading, question.limit)
        : pageAfter(reading, question.after, question.limit);
    case 'around':
      return neighbourhood(reading, question.subject, question.limit);
    case 'subjects':
      return { total: await countOf(reading), entries: await entriesOf(reading, question.subjects) };
  }
}

async function firstPage(reading: Reading, limit: number): Promise<BoardSlice> {
  const total = await countOf(reading);
  return { total, entries: ranked(await placesOf(reading, reading.statements.first, [limit]), 0) };
}

async function pageAfter(reading: Reading, after: Place, limit: number): Promise<BoardSlice> {
  const counts = await countsAt(reading, after);
  const places = await placesOf(reading, reading.statements.after, [...placeValues(after), limit]);
  return { total: counts.total, entries: ranked(places, counts.total - counts.after) };
}

async function neighbourhood(reading: Reading, subject: string, limit: number): Promise<BoardSlice> {
  const [own] = await placesOf(reading, reading.statements.subjects, [[subject]]);
  if (own === undefined) return { total: await countOf(reading), entries: [] };
  const { total, before: rank } = await countsAt(reading, own);
  const first = Math.max(0, Math.min(rank - Math.floor((limit - 1) / 2), total - limit));
  const { before, after } = reading.statements;
  const better = await placesOf(reading, before, [...placeValues(own), rank - first]);
  const worse = await placesOf(reading, after, [...placeValues(own), limit - 1 - better.length]);
  return { total, entries: ranked([...better.reverse(), own, ...worse], first) };
}

async function entriesOf(reading: Reading, subjects: readonly string[]): Promise<readonly Entry[]> {
  const { sql, statements: text, board } = reading;
  const rows = await sql.query<PlaceRow & { readonly rank: number }>(text.ranked, [...board, subjects]);
  return rows.map(({ rank, ...row }) => ({ rank, ...placeOf(row) }));
}

async function countOf({ sql, statements: text, board }: Reading): Promise<number> {
  const [row] = await sql.query<{ count: number }>(text.count, board);
  return row?.count ?? 0;
}

interface Counts {
  readonly total: number;
  readonly before: number;
  readonly after: number;
}

async function countsAt({ sql, statements: text, board }: Reading, place: Place): Promise<Counts> {
  const [row] = await sql.query<Counts>(text.counts, [...board, ...placeValues(place)]);
  if (row === undefined) throw new Error('a count gives one row');
  return row;
}

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
