import type { Sql } from '../postgres/port.js';
import { seriesId, type Baseline, type FairnessChanges, type SeriesKey } from './fold.js';

interface BaselineRow {
  game_id: string;
  player_id: string;
  metric: string;
  partition: string;
  samples: number;
  mean: number;
  m2: number;
  last_ts_ms: number | null;
}

/** The key columns as arrays for `unnest`. */
const keyColumns = (keys: readonly SeriesKey[]): readonly (readonly string[])[] => [
  keys.map((key) => key.gameId),
  keys.map((key) => key.playerId),
  keys.map((key) => key.metric),
  keys.map((key) => key.partition),
];

/** Rows are made in key order too: an insertion of the same key waits for the other transaction, as a lock does. */
const CREATE_ABSENT = `
  INSERT INTO fairness_baselines (game_id, player_id, metric, partition, samples, mean, m2)
  SELECT game_id, player_id, metric, partition, 0, 0, 0
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS wanted (game_id, player_id, metric, partition)
   ORDER BY game_id COLLATE "C", player_id COLLATE "C", metric COLLATE "C", partition COLLATE "C"
  ON CONFLICT DO NOTHING`;

const LOCK = `
  SELECT b.game_id, b.player_id, b.metric, b.partition, b.samples, b.mean, b.m2, b.last_ts_ms
    FROM fairness_baselines AS b
    JOIN unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS wanted (game_id, player_id, metric, partition)
      USING (game_id, player_id, metric, partition)
   ORDER BY b.game_id, b.player_id, b.metric, b.partition
     FOR UPDATE OF b`;

/** Creates the absent baselines, locks all of them in key order and reads them. */
export async function lockBaselines(sql: Sql, keys: readonly SeriesKey[]): Promise<Map<string, Baseline>> {
  const baselines = new Map<string, Baseline>();
  if (keys.length === 0) return baselines;
  const columns = keyColumns(keys);
  await sql.query(CREATE_ABSENT, columns);
  for (const row of await sql.query<BaselineRow>(LOCK, columns)) {
    const key = {
      gameId: row.game_id,
      playerId: row.player_id,
      metric: row.metric,
      partition: row.partition,
    };
    baselines.set(seriesId(key), {
      samples: row.samples,
      mean: row.mean,
      m2: row.m2,
      lastTsMs: row.last_ts_ms,
    });
  }
  return baselines;
}

const SAVE_BASELINES = `
  UPDATE fairness_baselines AS b
     SET samples = n.samples, mean = n.mean, m2 = n.m2, last_ts_ms = n.last_ts_ms
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::float8[], $7::float8[], $8::bigint[])
      AS n (game_id, player_id, metric, partition, samples, mean, m2, last_ts_ms)
   WHERE b.game_id = n.game_id AND b.player_id = n.player_id AND b.metric = n.metric AND b.partition = n.partition`;

const SAVE_SAMPLES = `
  INSERT INTO fairness_samples
    (game_id, player_id, metric, partition, sample_no, dedupe_day, identity, value, definition_version)
  SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::date[], $7::uuid[], $8::float8[],
    $9::int[])`;

const SAVE_FINDINGS = `
  INSERT INTO suspicious_events
    (game_id, player_id, metric, partition, sample_no, dedupe_day, identity, judged, definition_version, event_id, ts_ms,
     value, mean, deviation, z)
  SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::date[], $7::uuid[], $8::float8[],
    $9::int[], $10::text[], $11::bigint[], $12::float8[], $13::float8[], $14::float8[], $15::float8[])`;

/** Three statements at most, whatever the batch. */
export async function saveChanges(
  sql: Sql,
  { baselines, samples, findings }: FairnessChanges,
): Promise<void> {
  if (baselines.size > 0) {
    const rows = [...baselines.values()];
    await sql.query(SAVE_BASELINES, [
      ...keyColumns(rows.map((row) => row.key)),
      rows.map(({ baseline }) => baseline.samples),
      rows.map(({ baseline }) => baseline.mean),
      rows.map(({ baseline }) => baseline.m2),
      rows.map(({ baseline }) => baseline.lastTsMs),
    ]);
  }
  if (samples.length > 0) await sql.query(SAVE_SAMPLES, sampleColumns(samples));
  if (findings.length > 0) {
    await sql.query(SAVE_FINDINGS, [
      ...sampleColumns(findings),
      findings.map((finding) => finding.eventId),
      findings.map((finding) => finding.tsMs),
      findings.map((finding) => finding.value),
      findings.map((finding) => finding.mean),
      findings.map((finding) => finding.deviation),
      findings.map((finding) => finding.z),
    ]);
  }
}

const sampleColumns = (samples: FairnessChanges['samples']): readonly unknown[] => [
  ...keyColumns(samples.map((sample) => sample.key)),
  samples.map((sample) => sample.sampleNo),
  samples.map((sample) => sample.dedupeDay),
  samples.map((sample) => sample.identity),
  samples.map((sample) => sample.judged),
  samples.map((sample) => sample.definitionVersion),
];
