import {
  checkLimit,
  isInstantText,
  pageOf,
  readCursor,
  type CursorPart,
  type Page,
} from '../contract/keyset-page.js';
import type { Sql } from '../postgres/port.js';
import type { SeriesKey } from './fold.js';
import type { StoredSample } from './rerun.js';

/** One finding as it is shown. Times are UTC ms; `value` is as sent, the rest speaks of the transformed value. */
export interface FindingItem {
  readonly findingId: number;
  readonly playerId: string;
  readonly metric: string;
  readonly partition: string;
  readonly eventId: string;
  readonly tsMs: number;
  readonly value: number;
  readonly judged: number;
  readonly mean: number;
  readonly deviation: number;
  readonly z: number;
  readonly sampleNo: number;
  readonly definitionVersion: number;
  readonly foundAtMs: number;
}

export interface FindingQuery {
  readonly gameId: string;
  readonly playerId?: string | undefined;
  readonly metric?: string | undefined;
  /** 1..1000 */
  readonly limit: number;
  /** From the answer before. */
  readonly cursor?: string | undefined;
}

interface FindingRow {
  finding_id: number;
  player_id: string;
  metric: string;
  partition: string;
  event_id: string;
  ts_ms: number;
  value: number;
  judged: number;
  mean: number;
  deviation: number;
  z: number;
  sample_no: number;
  definition_version: number;
  found_at: Date;
  found_at_text: string;
}

const isFindingId: CursorPart = (text) => /^[1-9]\d{0,15}$/.test(text) && Number.isSafeInteger(Number(text));

/** `found_at` travels as text: it has microseconds and a Date does not. */
const LIST = `
  SELECT finding_id, player_id, metric, partition, event_id, ts_ms, value, judged, mean, deviation, z, sample_no,
         definition_version, found_at, found_at::text AS found_at_text
    FROM suspicious_events
   WHERE game_id = $1
     AND ($2::text IS NULL OR player_id = $2)
     AND ($3::text IS NULL OR metric = $3)
     AND ($4::timestamptz IS NULL OR (found_at <= $4 AND (found_at, finding_id) < ($4, $5::bigint)))
   ORDER BY found_at DESC, finding_id DESC
   LIMIT $6`;

/**
 * Findings of a game, newest first.
 *
 * @throws FairtallyError `bad_limit`, `bad_cursor`
 */
export async function listFindings(
  sql: Sql,
  { gameId, playerId, metric, limit, cursor }: FindingQuery,
): Promise<Page<FindingItem>> {
  checkLimit({ limit });
  const [foundAt, findingId] = readCursor(cursor ?? null, [isInstantText, isFindingId]) ?? [null, null];
  const values = [gameId, playerId ?? null, metric ?? null, foundAt, findingId, limit + 1];
  const rows = await sql.query<FindingRow>(LIST, values);
  return pageOf(rows, limit, (row) => [row.found_at_text, String(row.finding_id)], toItem);
}

const toItem = (row: FindingRow): FindingItem => ({
  findingId: row.finding_id,
  playerId: row.player_id,
  metric: row.metric,
  partition: row.partition,
  eventId: row.event_id,
  tsMs: row.ts_ms,
  value: row.value,
  judged: row.judged,
  mean: row.mean,
  deviation: row.deviation,
  z: row.z,
  sampleNo: row.sample_no,
  definitionVersion: row.definition_version,
  foundAtMs: row.found_at.getTime(),
});

/** How many findings stand, by game and metric: the gauge `findings`. */
export async function countFindings(
  sql: Sql,
): Promise<{ gameId: string; metric: string; findings: number }[]> {
  return sql.query<{ gameId: string; metric: string; findings: number }>(
    `SELECT game_id AS "gameId", metric, count(*) AS findings FROM suspicious_events GROUP BY 1, 2 ORDER BY 1, 2`,
  );
}

/** A stored sample with the event it came from. */
export interface SampleItem extends StoredSample {
  readonly dedupeDay: string;
  /** 32 lowercase hex digits. */
  readonly identity: string;
}

/** Samples of one series after a sample number (0: from the start), in the order seen: what `rerun` takes. */
export async function listSamples(
  sql: Sql,
  key: SeriesKey,
  afterSampleNo: number,
  limit: number,
): Promise<SampleItem[]> {
  return sql.query<SampleItem>(
    `SELECT sample_no AS "sampleNo", dedupe_day AS "dedupeDay", replace(identity::text, '-', '') AS identity,
            value AS judged, definition_version AS "definitionVersion"
       FROM fairness_samples
      WHERE game_id = $1 AND player_id = $2 AND metric = $3 AND partition = $4 AND sample_no > $5
      ORDER BY sample_no
      LIMIT $6`,
    [key.gameId, key.playerId, key.metric, key.partition, afterSampleNo, limit],
  );
}
