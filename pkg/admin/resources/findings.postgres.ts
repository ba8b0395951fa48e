import {
  isInstantText,
  pageOf,
  readCursor,
  type CursorPart,
  type PageRequest,
} from '../../contract/keyset-page.js';
import type { Sql } from '../../postgres/port.js';
import { instantOf, pageAnswer, textOrNull, type Schemas } from './answers.js';

interface FindingRow {
  readonly findingId: number;
  readonly playerId: string;
  readonly metric: string;
  readonly partition: string;
  readonly eventId: string;
  readonly tsMs: number;
  readonly foundAt: Date;
  /** With microseconds, which a Date does not have. */
  readonly foundAtText: string;
  readonly value: number;
  readonly judged: number;
  readonly mean: number;
  readonly deviation: number;
  readonly z: number;
  readonly sampleNo: number;
  readonly definitionVersion: number;
  readonly caseId: number | null;
}

const FINDING = `
  SELECT f.finding_id AS "findingId", f.player_id AS "playerId", f.metric, f.partition, f.event_id AS "eventId",
         f.ts_ms AS "tsMs", f.found_at AS "foundAt", f.found_at::text AS "foundAtText", f.value, f.judged, f.mean, f.deviation,
         f.z, f.sample_no AS "sampleNo", f.definition_version AS "definitionVersion",
         (SELECT c.case_id FROM cases c
           WHERE c.game_id = f.game_id AND c.player_id = f.player_id AND c.metric = f.metric
             AND c.first_finding_id <= f.finding_id AND c.last_finding_id >= f.finding_id
           ORDER BY c.case_id LIMIT 1) AS "caseId"
    FROM suspicious_events f`;

const findingOf = (row: FindingRow): Schemas['Finding'] => ({
  findingId: row.findingId,
  playerId: row.playerId,
  metric: row.metric,
  partition: textOrNull(row.partition),
  eventId: row.eventId,
  at: instantOf(row.tsMs),
  foundAt: instantOf(row.foundAt.getTime()),
  value: row.value,
  judged: row.judged,
  mean: row.mean,
  deviation: row.deviation,
  z: row.z,
  sampleNo: row.sampleNo,
  definitionVersion: row.definitionVersion,
  caseId: row.caseId,
});

export interface FindingQuery extends PageRequest {
  readonly gameId: string;
  readonly playerId?: string | undefined;
  readonly metric?: string | undefined;
}

const isFindingId: CursorPart = (text) => /^[1-9]\d{0,15}$/.test(text);

/** Findings of a game, of a player or of a metric, latest first: each way has its index. */
export async function listFindings(
  sql: Sql,
  { gameId, playerId, metric, limit, cursor }: FindingQuery,
): Promise<Schemas['FindingPage']> {
  const [foundAt, findingId] = readCursor(cursor, [isInstantText, isFindingId]) ?? [null, null];
  const values: unknown[] = [gameId, foundAt, findingId, limit + 1];
  const and = (column: string, value: string | undefined): string =>
    value === undefined ? '' : ` AND f.${column} = $${String(values.push(value))}`;
  const rows = await sql.query<FindingRow>(
    `${FINDING} WHERE f.game_id = $1${and('player_id', playerId)}${and('metric', metric)}
        AND ($2::timestamptz IS NULL OR (f.found_at, f.finding_id) < ($2, $3::bigint))
      ORDER BY f.found_at DESC, f.finding_id DESC LIMIT $4`,
    values,
  );
  const page = pageOf(rows, limit, (row) => [row.foundAtText, String(row.findingId)], findingOf);
  return pageAnswer(page, (item) => item);
}

export async function readFinding(
  sql: Sql,
  gameId: string,
  findingId: number,
): Promise<Schemas['Finding'] | null> {
  const [row] = await sql.query<FindingRow>(`${FINDING} WHERE f.game_id = $1 AND f.finding_id = $2`, [
    gameId,
    findingId,
  ]);
  return row === undefined ? null : findingOf(row);
}

/** The findings of a case, latest first. */
export async function findingsOfCase(
  sql: Sql,
  gameId: string,
  { playerId, metric, firstFindingId, lastFindingId }: FindingRange,
  limit: number,
): Promise<Schemas['Finding'][]> {
  const rows = await sql.query<FindingRow>(
    `${FINDING} WHERE f.game_id = $1 AND f.player_id = $2 AND f.metric = $3 AND f.finding_id BETWEEN $4 AND $5
      ORDER BY f.found_at DESC, f.finding_id DESC LIMIT $6`,
    [gameId, playerId, metric, firstFindingId, lastFindingId, limit],
  );
  return rows.map(findingOf);
}

export interface FindingRange {
  readonly playerId: string;
  readonly metric: string;
  readonly firstFindingId: number;
  readonly lastFindingId: number;
}
