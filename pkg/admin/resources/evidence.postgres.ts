import type { FairnessMetric } from '../../games/port.js';
import type { Sql } from '../../postgres/port.js';
import { instantOrNull, type Schemas } from './answers.js';
import { bandsOf, NO_BAND, shownBand, shownValue } from './evidence.js';

interface SampleRow {
  readonly sampleNo: number;
  readonly judged: number;
  readonly identity: string;
  readonly dedupeDay: string;
  readonly findingId: number | null;
}

/** A run of the series by its primary key, with the findings among it. */
const SAMPLES = `
  SELECT s.sample_no AS "sampleNo", s.value AS judged, s.identity, s.dedupe_day AS "dedupeDay", f.finding_id AS "findingId"
    FROM fairness_samples s
    LEFT JOIN suspicious_events f
      ON f.game_id = s.game_id AND f.player_id = s.player_id AND f.metric = s.metric AND f.identity = s.identity
   WHERE s.game_id = $1 AND s.player_id = $2 AND s.metric = $3 AND s.partition = $4 AND s.sample_no BETWEEN $5 AND $6
   ORDER BY s.sample_no`;

const EVENTS_READ_MAX = 20_000;
const DAY_MS = 86_400_000;

/** The times of events: the archive has no index by identity, so it is read as the player's events of those days. */
const TIMES = `
  SELECT e.identity, e.ts_ms AS "tsMs" FROM (
    SELECT identity, ts_ms FROM events
     WHERE game_id = $1 AND player_id = $2 AND ts_ms BETWEEN $3 AND $4 ORDER BY ts_ms LIMIT ${String(EVENTS_READ_MAX)}) AS e
   WHERE e.identity = ANY($5::uuid[])`;

/** What one finding was judged by: its metric in the version of then, and the series around it. */
export async function readEvidence(
  sql: Sql,
  gameId: string,
  { finding, metric, around }: EvidenceQuery,
): Promise<Schemas['Evidence']> {
  const { playerId, partition, sampleNo } = finding;
  const series = [gameId, playerId, finding.metric, partition ?? ''];
  const samples = await sql.query<SampleRow>(SAMPLES, [
    ...series,
    Math.max(1, sampleNo - around),
    sampleNo + around,
  ]);
  const times = await timesOf(sql, gameId, playerId, samples);
  const bands = bandsOf(samples, finding);
  const points = samples.map((sample, index) => ({
    sampleNo: sample.sampleNo,
    judged: sample.judged,
    value: shownValue(metric, sample.judged),
    ...shownBand(metric, bands[index] ?? NO_BAND),
    at: instantOrNull(times.get(sample.identity) ?? null),
    isFinding: sample.findingId !== null,
    findingId: sample.findingId,
  }));
  const [baseline] = await sql.query<{ samples: number }>(
    'SELECT samples FROM fairness_baselines WHERE game_id = $1 AND player_id = $2 AND metric = $3 AND partition = $4',
    series,
  );
  return {
    finding,
    transform: metric.transform,
    side: metric.side,
    maxZ: metric.maxZ,
    minSamples: metric.minSamples,
    totalSamples: baseline?.samples ?? sampleNo,
    points,
  };
}

export interface EvidenceQuery {
  readonly finding: Schemas['Finding'];
  /** As the definition had it when the finding was made. */
  readonly metric: FairnessMetric;
  /** Samples on either side. */
  readonly around: number;
}

/** Event times by identity, as far as the days of the samples tell where to look. */
async function timesOf(
  sql: Sql,
  gameId: string,
  playerId: string,
  samples: readonly SampleRow[],
): Promise<ReadonlyMap<string, number>> {
  if (samples.length === 0) return new Map();
  const days = samples.map(({ dedupeDay }) => Date.parse(`${dedupeDay}T00:00:00Z`));
  const rows = await sql.query<{ identity: string; tsMs: number }>(TIMES, [
    gameId,
    playerId,
    Math.min(...days) - DAY_MS,
    Math.max(...days) + 2 * DAY_MS,
    samples.map(({ identity }) => identity),
  ]);
  return new Map(rows.map(({ identity, tsMs }) => [identity, tsMs]));
}
