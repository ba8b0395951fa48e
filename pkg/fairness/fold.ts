import { PoisonError } from '../kernel/errors.js';
import type { FairnessMetric } from '../games/port.js';
import type { RoleEvent } from '../worker/port.js';
import { judge, transformed, type Evidence } from './judge.js';
import { addSample, NO_SAMPLES, type Moments } from './welford.js';

/** One sequence of samples. `partition` is '' where the metric has none. */
export interface SeriesKey {
  readonly gameId: string;
  readonly playerId: string;
  readonly metric: string;
  readonly partition: string;
}

/** What is remembered of a series. `lastTsMs` is kept for metrics of the time between events. */
export interface Baseline extends Moments {
  readonly lastTsMs: number | null;
}

export interface Sample {
  readonly key: SeriesKey;
  /** 1, 2, 3 ... within the series: the order in which the role saw them. */
  readonly sampleNo: number;
  readonly dedupeDay: string;
  readonly identity: string;
  /** After the metric's transform. */
  readonly judged: number;
  readonly definitionVersion: number;
}

export interface Finding extends Sample, Evidence {
  readonly eventId: string;
  readonly tsMs: number;
  /** As sent; seconds for the time between events. */
  readonly value: number;
}

/** Baselines by `seriesId`. */
export type FairnessState = ReadonlyMap<string, Baseline>;

export interface FairnessChanges {
  readonly baselines: ReadonlyMap<string, { readonly key: SeriesKey; readonly baseline: Baseline }>;
  readonly samples: readonly Sample[];
  readonly findings: readonly Finding[];
}

export const EMPTY_BASELINE: Baseline = { ...NO_SAMPLES, lastTsMs: null };

/** U+0000 cannot stand in any text of an event, so it separates. */
export const seriesId = (key: SeriesKey): string =>
  `${key.gameId}\u0000${key.playerId}\u0000${key.metric}\u0000${key.partition}`;

/** One metric that an event feeds. `value` is null where it is the time since the previous event. */
interface Observation {
  readonly metric: FairnessMetric;
  readonly key: SeriesKey;
  readonly value: number | null;
}

/** A partition is part of a primary key, and PostgreSQL keeps no index row beyond 2,700 bytes. */
const PARTITION_MAX_BYTES = 512;

/**
 * The metrics that an event feeds. An event without the metric's value or partition feeds nothing.
 *
 * @throws PoisonError `partition_too_long`, `not_finite`
 */
function observationsOf({ event, definition }: RoleEvent): readonly Observation[] {
  const observations: Observation[] = [];
  for (const metric of definition.fairness) {
    if (metric.eventType !== event.type) continue;
    const partition =
      metric.partitionField === null ? '' : partitionOf(metric.name, event.payload[metric.partitionField]);
    if (partition === null) continue;
    const key = { gameId: event.gameId, playerId: event.playerId, metric: metric.name, partition };
    if ('sincePrevious' in metric.value) {
      observations.push({ metric, key, value: null });
      continue;
    }
    const value = event.payload[metric.value.field];
    if (typeof value !== 'number') continue;
    if (!Number.isFinite(value))
      throw new PoisonError('not_finite', `metric ${metric.name}: the value is not a finite number`);
    observations.push({ metric, key, value });
  }
  return observations;
}

/** Text or a number names a partition; anything else, none. */
function partitionOf(metricName: string, field: unknown): string | null {
  const partition = typeof field === 'number' ? String(field) : field;
  if (typeof partition !== 'string') return null;
  if (Buffer.byteLength(partition) <= PARTITION_MAX_BYTES) return partition;
  const detail = `metric ${metricName}: the partition is over ${String(PARTITION_MAX_BYTES)} bytes`;
  throw new PoisonError('partition_too_long', detail);
}

/** Every series that a batch touches, once each: what `load` must create and lock. */
export function seriesOf(events: readonly RoleEvent[]): readonly SeriesKey[] {
  const keys = new Map<string, SeriesKey>();
  for (const event of events) for (const { key } of observationsOf(event)) keys.set(seriesId(key), key);
  return [...keys.values()];
}

/**
 * Judges each value against the samples before it in its series, then adds it, in the order of the batch: splitting a
 * batch changes nothing. A suspicious value is added too, so that the baseline depends on the samples alone and not on
 * the rule, and follows a player who truly changed.
 *
 * @throws PoisonError see observationsOf; `not_finite` also when a value would overflow its baseline
 */
export function fold(state: FairnessState, events: readonly RoleEvent[]): FairnessChanges {
  const baselines = new Map<string, { key: SeriesKey; baseline: Baseline }>();
  const samples: Sample[] = [];
  const findings: Finding[] = [];
  for (const roleEvent of events) {
    for (const observation of observationsOf(roleEvent)) {
      const id = seriesId(observation.key);
      const before = baselines.get(id)?.baseline ?? state.get(id) ?? EMPTY_BASELINE;
      const step = observe(before, observation, roleEvent);
      if (step === null) continue;
      baselines.set(id, { key: observation.key, baseline: step.after });
      if (step.sample !== null) samples.push(step.sample);
      if (step.finding !== null) findings.push(step.finding);
    }
  }
  return { baselines, samples, findings };
}

interface Step {
  readonly after: Baseline;
  readonly sample: Sample | null;
  readonly finding: Finding | null;
}

/** What one observation does to its series; null when nothing. */
function observe(
  before: Baseline,
  { metric, key, value: given }: Observation,
  { event }: RoleEvent,
): Step | null {
  let value = given;
  let lastTsMs = before.lastTsMs;
  if (value === null) {
    // A late event would measure the time between two others; it makes no sample and moves nothing back.
    if (lastTsMs !== null && event.tsMs <= lastTsMs) return null;
    if (lastTsMs === null) return { after: { ...before, lastTsMs: event.tsMs }, sample: null, finding: null };
    value = (event.tsMs - lastTsMs) / 1000;
    lastTsMs = event.tsMs;
  }
  const judged = transformed(metric, value);
  const after = { ...addSample(before, judged), lastTsMs };
  if (!Number.isFinite(after.m2))
    throw new PoisonError('not_finite', `metric ${metric.name}: the value overflows its baseline`);
  const sample: Sample = {
    key,
    sampleNo: after.samples,
    dedupeDay: event.dedupeDay,
    identity: event.identity,
    judged,
    definitionVersion: event.definitionVersion,
  };
  const verdict = judge(metric, before, judged);
  if (verdict.kind !== 'suspicious') return { after, sample, finding: null };
  const { mean, deviation, z } = verdict;
  return {
    after,
    sample,
    finding: { ...sample, eventId: event.id, tsMs: event.tsMs, value, mean, deviation, z },
  };
}
