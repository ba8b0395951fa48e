import type { Board } from '../games/port.js';
import type { Sql } from '../postgres/port.js';
import type { BoardKey, BoardQuestion, BoardSlice, Entry, Place } from './port.js';

const OF_CYCLE = 'n.game_id = $1 AND n.board = $2 AND n.cycle = $3 AND n.partition = $4';
const ROW = 'n.subject, n.score, n.reached_at AS "reachedAtMs", n.place';

const LAST = `SELECT n.place FROM leaderboard_snapshots n WHERE ${OF_CYCLE} AND n.place IS NOT NULL ORDER BY n.place DESC LIMIT 1`;
const BETWEEN = `SELECT ${ROW} FROM leaderboard_snapshots n WHERE ${OF_CYCLE} AND n.place BETWEEN $5 AND $6 ORDER BY n.place`;
const SUBJECTS = `SELECT ${ROW} FROM leaderboard_snapshots n WHERE ${OF_CYCLE} AND n.subject = ANY($5::text[]) ORDER BY n.place`;
/**
 * The last place up to the row $5, $6, $7, whether or not it is there: looked for by halves among the places 1..$8. The middle is
 * asked as a row by itself, the first from there on (places have no gaps): joined, it would be a sum of columns, which behind the
 * wall between games no index may answer, because a sum can fail; and without statistics a join would read the whole cycle.
 */
const upTo = (better: '<' | '>'): string => `
  WITH RECURSIVE search (low, high) AS (
    SELECT 0::bigint, $8::bigint
    UNION ALL
    SELECT CASE WHEN m.is_up_to THEN m.place ELSE s.low END, CASE WHEN m.is_up_to THEN s.high ELSE m.place - 1 END
      FROM search s CROSS JOIN LATERAL (
        SELECT n.place, n.score ${better} $6::bigint OR n.score = $6 AND (n.reached_at, n.subject) <= ($7::bigint, $5::text) AS is_up_to
          FROM leaderboard_snapshots n WHERE ${OF_CYCLE} AND n.place >= (s.low + s.high + 1) / 2
         ORDER BY n.place LIMIT 1) AS m
     WHERE s.low < s.high
  )
  SELECT low AS place FROM search WHERE low = high`;
const UP_TO = { asc: upTo('<'), desc: upTo('>') } as const;

const HIDDEN = `SELECT p.player_id AS subject FROM player_state p WHERE p.game_id = $1 AND p.hidden`;
/** Grows with every change of who is hidden. */
const HIDDEN_REVISION =
  'SELECT coalesce(sum(p.revision), 0)::bigint AS revision FROM player_state p WHERE p.game_id = $1';

/** Another number after each change of who is hidden in a game. */
export async function hiddenRevision(sql: Sql, gameId: string): Promise<number> {
  const [row] = await sql.query<{ revision: number }>(HIDDEN_REVISION, [gameId]);
  return row?.revision ?? 0;
}

/** Of all cycles together; some 10 MB. */
const PLACES_REMEMBERED = 200_000;

interface RememberedCycle {
  /** Of those who are hidden, or were: a final ranking never changes. null: not in it. */
  readonly placeOf: Map<string, number | null>;
  readonly revision: number;
  /** Of those who are hidden at that revision, in order. */
  readonly places: readonly number[];
}

/**
 * The places in final rankings of the players who are hidden now. Who is hidden is asked again when somebody was hidden or restored,
 * and of each ranking then only what is not known of it: after a verdict that is one place.
 */
export class HiddenPlaces {
  readonly #games = new Map<string, { readonly revision: number; readonly subjects: readonly string[] }>();
  readonly #cycles = new Map<string, RememberedCycle>();
  #remembered = 0;

  /** `sql`: a transaction of one snapshot, of which the places are true. */
  async of(sql: Sql, key: BoardKey): Promise<readonly number[]> {
    return this.at(sql, key, await hiddenRevision(sql, key.gameId));
  }

  /** The same, of many cycles in one transaction: `revision` is what `hiddenRevision` told in it. */
  async at(sql: Sql, boardKey: BoardKey, revision: number): Promise<readonly number[]> {
    const key = [boardKey.gameId, boardKey.board, boardKey.cycle, boardKey.partition];
    const name = JSON.stringify(key);
    const known = this.#cycles.get(name);
    if (known?.revision === revision) return known.places;
    const subjects = await this.#subjectsOf(sql, boardKey.gameId, revision);
    const placeOf = known?.placeOf ?? new Map<string, number | null>();
    const unknown = subjects.filter((subject) => !placeOf.has(subject));
    const rows = unknown.length === 0 ? [] : await sql.query<Row>(SUBJECTS, [...key, unknown]);
    for (const subject of unknown) placeOf.set(subject, null);
    for (const { subject, place } of rows) placeOf.set(subject, place);
    const places = subjects.flatMap((subject) => placeOf.get(subject) ?? []).sort((a, b) => a - b);
    this.#remember(name, { placeOf, revision, places }, unknown.length);
    return places;
  }

  async #subjectsOf(sql: Sql, gameId: string, revision: number): Promise<readonly string[]> {
    const known = this.#games.get(gameId);
    if (known?.revision === revision) return known.subjects;
    const subjects = (await sql.query<{ subject: string }>(HIDDEN, [gameId])).map(({ subject }) => subject);
    this.#games.set(gameId, { revision, subjects });
    return subjects;
  }

  #remember(name: string, cycle: RememberedCycle, added: number): void {
    this.#remembered += added + 1;
    if (this.#remembered > PLACES_REMEMBERED) {
      this.#cycles.clear();
      this.#games.clear();
      this.#remembered = cycle.placeOf.size;
    }
    this.#cycles.set(name, cycle);
  }
}

/** How many of these places, which are in order, are not after a place. */
export function countUpTo(places: readonly number[], place: number): number {
  let [low, high] = [0, places.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((places[middle] ?? Infinity) <= place) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The place of a rank: the hidden before it are stepped over. */
function placeOfRank(hidden: readonly number[], rank: number): number {
  let place = rank;
  for (const one of hidden) {
    if (one > place) break;
    place += 1;
  }
  return place;
}

type Row = Place & { readonly place: number };

interface Ranking {
  readonly sql: Sql;
  /** $1..$4 */
  readonly key: readonly string[];
  readonly hidden: readonly number[];
  readonly total: number;
}

/**
 * A board of a closed cycle by the places of its rows, which costs the page and not the board. null when the rows have none.
 *
 * @param sql a transaction of one snapshot
 */
export async function readSnapshot(
  sql: Sql,
  hiddenPlaces: HiddenPlaces,
  boardKey: BoardKey,
  board: Board,
  question: BoardQuestion,
): Promise<BoardSlice | null> {
  const key = [boardKey.gameId, boardKey.board, boardKey.cycle, boardKey.partition];
  const [last] = await sql.query<{ place: number }>(LAST, key);
  if (last === undefined) return null;
  const hidden = board.subjectField === null ? await hiddenPlaces.of(sql, boardKey) : [];
  const ranking = { sql, key, hidden, total: last.place - hidden.length };
  return { total: ranking.total, entries: await entriesOf(ranking, board.order, question) };
}

async function entriesOf(ranking: Ranking, order: Board['order'], question: BoardQuestion): Promise<Entry[]> {
  switch (question.kind) {
    case 'top':
      return entriesAfter(ranking, await ranksUpTo(ranking, order, question.after), question.limit);
    case 'around': {
      const [own] = await rankedSubjects(ranking, [question.subject]);
      if (own === undefined) return [];
      const { limit } = question;
      const before = Math.min(own.rank - 1 - Math.floor((limit - 1) / 2), ranking.total - limit);
      return entriesAfter(ranking, Math.max(0, before), limit);
    }
    case 'subjects':
      return rankedSubjects(ranking, question.subjects);
  }
}

/** How many are shown up to a place, whether or not somebody holds it. */
async function ranksUpTo(
  { sql, key, hidden, total }: Ranking,
  order: Board['order'],
  after: Place | null,
): Promise<number> {
  if (after === null) return 0;
  const values = [...key, after.subject, after.score, after.reachedAtMs, total + hidden.length];
  const [found] = await sql.query<{ place: number }>(UP_TO[order], values);
  const place = found?.place ?? 0;
  return place - countUpTo(hidden, place);
}

async function entriesAfter(
  { sql, key, hidden, total }: Ranking,
  before: number,
  limit: number,
): Promise<Entry[]> {
  if (before >= total) return [];
  const from = placeOfRank(hidden, before + 1);
  const to = placeOfRank(hidden, Math.min(total, before + limit));
  const rows = await sql.query<Row>(BETWEEN, [...key, from, to]);
  return shown(rows, hidden);
}

async function rankedSubjects({ sql, key, hidden }: Ranking, subjects: readonly string[]): Promise<Entry[]> {
  return shown(await sql.query<Row>(SUBJECTS, [...key, subjects]), hidden);
}

/** Without the hidden; with ranks. */
const shown = (rows: readonly Row[], hidden: readonly number[]): Entry[] =>
  rows.flatMap(({ place, ...entry }) => {
    const rank = rankOf(hidden, place);
    return rank === null ? [] : [{ rank, ...entry }];
  });

const RANKS = `
  SELECT own.place,
         (SELECT n.place FROM leaderboard_snapshots n
           WHERE n.game_id = $1 AND n.board = k.board AND n.cycle = k.cycle AND n.partition = k.partition AND n.place IS NOT NULL
           ORDER BY n.place DESC LIMIT 1) AS last
    FROM unnest($3::text[], $4::text[], $5::text[]) WITH ORDINALITY AS k (board, cycle, partition, nth)
    LEFT JOIN leaderboard_snapshots own
      ON own.game_id = $1 AND own.board = k.board AND own.cycle = k.cycle AND own.partition = k.partition AND own.subject = $2
   ORDER BY k.nth`;

/**
 * A player's ranks in closed cycles of boards of players, in the order of `cycles`; null where rows have no places.
 *
 * @param sql a transaction of one snapshot
 */
export async function finalRanks(
  sql: Sql,
  hiddenPlaces: HiddenPlaces,
  player: { readonly gameId: string; readonly playerId: string },
  cycles: readonly Omit<BoardKey, 'gameId'>[],
): Promise<readonly (FinalRank | null)[]> {
  if (cycles.length === 0) return [];
  const { gameId, playerId } = player;
  const columns = [
    cycles.map((one) => one.board),
    cycles.map((one) => one.cycle),
    cycles.map((one) => one.partition),
  ];
  const rows = await sql.query<{ place: number | null; last: number | null }>(RANKS, [
    gameId,
    playerId,
    ...columns,
  ]);
  const revision = await hiddenRevision(sql, gameId);
  const ranks: (FinalRank | null)[] = [];
  for (const [index, cycle] of cycles.entries()) {
    const { place = null, last = null } = rows[index] ?? {};
    const hidden = last === null ? [] : await hiddenPlaces.at(sql, { gameId, ...cycle }, revision);
    ranks.push(last === null ? null : { rank: rankOf(hidden, place), total: last - hidden.length });
  }
  return ranks;
}

export interface FinalRank {
  /** null: hidden, or not in the ranking. */
  readonly rank: number | null;
  readonly total: number;
}

function rankOf(hidden: readonly number[], place: number | null): number | null {
  if (place === null) return null;
  const gone = countUpTo(hidden, place);
  return gone > 0 && hidden[gone - 1] === place ? null : place - gone;
}
