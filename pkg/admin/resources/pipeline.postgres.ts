import { ROLES, type RoleName } from '../../kernel/roles.js';
import type { Sql } from '../../postgres/port.js';
import { COUNT_MAX } from './answers.js';

export interface RoleCounts {
  readonly delivered: number;
  readonly applied: number;
  readonly duplicate: number;
  readonly conflict: number;
  readonly dead: number;
}

const NOTHING: RoleCounts = { delivered: 0, applied: 0, duplicate: 0, conflict: 0, dead: 0 };

/** What each role has counted, over all games and lanes: a few hundred rows. */
export async function readRoleCounts(sql: Sql): Promise<ReadonlyMap<RoleName, RoleCounts>> {
  const rows = await sql.query<RoleCounts & { role: RoleName }>(
    `SELECT role, sum(delivered)::bigint AS delivered, sum(applied)::bigint AS applied, sum(duplicate)::bigint AS duplicate,
            sum(conflict)::bigint AS conflict, sum(dead)::bigint AS dead
       FROM role_counters GROUP BY role`,
  );
  return new Map(ROLES.map((role) => [role, rows.find((row) => row.role === role) ?? NOTHING]));
}

export interface OpenThings {
  readonly openLetters: number;
  readonly redrivenLetters: number;
  readonly openCases: number;
  readonly findings24h: number;
  readonly openCycles: number;
  readonly voidCycles: number;
  /** Events that the archive has and a role lacks, on their way to it beside the bus. */
  readonly lacking: number;
  /** How far every role was compared with the archive; null: not yet. */
  readonly comparedThrough: Date | null;
}

const CYCLES_COUNTED = 10_000;
const LETTERS_COUNTED = 100_000;

const counted = (from: string, max: number): string =>
  `(SELECT count(*) FROM (SELECT 1 FROM ${from} LIMIT ${String(max)}) AS few)`;

/** Each number by an index of its own, and up to a bound. An odd epoch says that the view of a cycle is void. */
const OPEN = `
  SELECT ${counted("dead_letters WHERE game_id = $1 AND state = 'open'", LETTERS_COUNTED)} AS "openLetters",
         ${counted("dead_letters WHERE game_id = $1 AND state = 'redriven'", LETTERS_COUNTED)} AS "redrivenLetters",
         ${counted("cases WHERE game_id = $1 AND state = 'open'", COUNT_MAX)} AS "openCases",
         ${counted("suspicious_events WHERE game_id = $1 AND found_at > now() - interval '24 hours'", COUNT_MAX)} AS "findings24h",
         ${counted("resubmissions WHERE game_id = $1 AND state = 'pending' AND letter_id IS NULL", LETTERS_COUNTED)} AS lacking,
         c."openCycles", c."voidCycles",
         (SELECT CASE WHEN count(*) = ${String(ROLES.length - 1)} THEN min(through) END FROM reconciled) AS "comparedThrough"
    FROM (SELECT count(*) AS "openCycles", count(*) FILTER (WHERE few.epoch % 2 = 1) AS "voidCycles"
            FROM (SELECT epoch FROM board_cycles WHERE game_id = $1 AND final_at IS NULL LIMIT ${String(CYCLES_COUNTED)}) AS few) AS c`;

export async function readOpenThings(sql: Sql, gameId: string): Promise<OpenThings> {
  const [row] = await sql.query<OpenThings>(OPEN, [gameId]);
  if (row === undefined) throw new Error('a query without a table gives one row');
  return row;
}

/** Events that the log took, over all games: its lanes count from 1 and without gaps. */
export async function countLogged(sql: Sql): Promise<number> {
  const [row] = await sql.query<{ logged: number }>(
    'SELECT coalesce(sum(next_position - 1), 0)::bigint AS logged FROM bus_lanes',
  );
  return row?.logged ?? 0;
}

export interface StepEvents {
  /** UTC ms of its beginning. */
  readonly atMs: number;
  readonly count: number;
}

const COUNTED_MAX = 100_000;

const stepsOf = (table: string, column: string): string => `
  SELECT floor(extract(epoch FROM ${column}) / $3)::bigint * $3 * 1000 AS "atMs", count(*) AS count
    FROM (SELECT ${column} FROM ${table} WHERE game_id = $1 AND ${column} >= to_timestamp($2::float8 / 1000)
           ORDER BY ${column} DESC LIMIT ${String(COUNTED_MAX)}) AS latest
   GROUP BY 1 ORDER BY 1`;
const FINDINGS = stepsOf('suspicious_events', 'found_at');
const LETTERS = stepsOf('dead_letters', 'first_seen_at');

/** New findings by step, of the latest hundred thousand. */
export const findingSteps = (
  sql: Sql,
  gameId: string,
  sinceMs: number,
  stepSeconds: number,
): Promise<StepEvents[]> => sql.query<StepEvents>(FINDINGS, [gameId, sinceMs, stepSeconds]);

/** New dead letters by step, of the latest hundred thousand. */
export const letterSteps = (
  sql: Sql,
  gameId: string,
  sinceMs: number,
  stepSeconds: number,
): Promise<StepEvents[]> => sql.query<StepEvents>(LETTERS, [gameId, sinceMs, stepSeconds]);
