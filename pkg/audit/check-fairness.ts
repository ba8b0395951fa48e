import type { FairnessMetric, GameDefinition } from '../games/port.js';
import type { Difference, DifferenceKind } from './difference.js';
import type { BaselineRow, FindingRow, PlayerRows, SampleRow, SeriesRow } from './postgres.js';
import { groupBy } from './check-players.js';
import type { ArchivedEvent } from './recount.js';

export interface StoredSample {
  readonly sampleNo: number;
  readonly judged: number;
  readonly definitionVersion: number;
}

/** The findings of a series from its samples in their stored order, bit for bit as the role made them. */
export type Rerun = (
  samples: Iterable<StoredSample>,
  metricOf: (definitionVersion: number) => FairnessMetric | null,
) => readonly (StoredSample & { readonly mean: number; readonly deviation: number; readonly z: number })[];

/** Sums of many doubles in another order differ in their last digits; a wrong sample differs in the first. */
const TOLERANCE = 1e-9;

interface Series {
  readonly playerId: string;
  readonly metric: string;
  readonly partition: string;
  readonly samples: readonly SampleRow[];
  readonly baseline: BaselineRow | undefined;
  readonly findings: readonly FindingRow[];
}

export interface FairnessParts {
  readonly definitions: ReadonlyMap<number, GameDefinition>;
  readonly rerun: Rerun;
}

/**
 * Fairness alone depends on the order it saw, so its samples are the order: each must be an event's value, each event of a
 * payload metric must be one sample, and baseline and findings must follow from the samples. Which late events gave no
 * time since the previous one cannot be told afterwards.
 */
export function checkFairness(
  rows: Pick<PlayerRows, 'samples' | 'baselines' | 'findings'>,
  events: readonly ArchivedEvent[],
  parts: FairnessParts,
): Difference[] {
  const differences: Difference[] = [];
  const fed = eventsBySeries(events);
  for (const series of seriesOf(rows, fed)) {
    const differs = (kind: DifferenceKind, what: string, expected: string, found: string): void => {
      const name = [series.metric, series.partition, what].filter((word) => word !== '').join(' ');
      differences.push({ kind, role: 'fairness', subject: series.playerId, what: name, expected, found });
    };
    const own = fed.get(keyOf(series.playerId, series.metric, series.partition)) ?? [];
    checkSamples(series, own, differs);
    const isWhole = series.samples.every((sample, index) => sample.sample_no === index + 1);
    if (!isWhole) {
      differs(
        'sample',
        'numbers',
        '1, 2, 3 ...',
        series.samples.map((sample) => sample.sample_no).join(', '),
      );
      continue;
    }
    checkBaseline(series, differs);
    checkFindings(series, parts, differs);
  }
  return differences;
}

type Differs = (kind: DifferenceKind, what: string, expected: string, found: string) => void;

const keyOf = (...parts: readonly string[]): string => parts.join('\u0000');
const seriesKey = (row: SeriesRow): string => keyOf(row.player_id, row.metric, row.partition);

interface Feed {
  readonly event: ArchivedEvent;
  readonly metric: FairnessMetric;
  /** As judged; null where it is the time since an event that only the order of arrival knows. */
  readonly judged: number | null;
}

function eventsBySeries(events: readonly ArchivedEvent[]): Map<string, Feed[]> {
  const feeds: (Feed & { readonly key: string })[] = [];
  for (const event of events) {
    for (const metric of event.definition.fairness) {
      if (metric.eventType !== event.type) continue;
      const field = metric.partitionField === null ? '' : event.payload[metric.partitionField];
      const partition = typeof field === 'number' ? String(field) : field;
      const value = 'field' in metric.value ? event.payload[metric.value.field] : null;
      if (typeof partition !== 'string' || (value !== null && typeof value !== 'number')) continue;
      const judged = value === null ? null : asJudged(metric, value);
      feeds.push({ key: keyOf(event.playerId, metric.name, partition), event, metric, judged });
    }
  }
  return groupBy(feeds, ({ key }) => key);
}

/** docs/fairness.md: `log` is sign(x) ln(1 + |x|), of milliseconds where the value is a time. */
const asJudged = ({ transform }: FairnessMetric, value: number): number =>
  transform === 'none' ? value : Math.sign(value) * Math.log(1 + Math.abs(value));

function seriesOf(
  rows: Pick<PlayerRows, 'samples' | 'baselines' | 'findings'>,
  fed: ReadonlyMap<string, readonly Feed[]>,
): Series[] {
  const samples = groupBy(rows.samples, seriesKey);
  const baselines = new Map(rows.baselines.map((row) => [seriesKey(row), row]));
  const findings = groupBy(rows.findings, seriesKey);
  const keys = new Set([...fed.keys(), ...samples.keys(), ...baselines.keys(), ...findings.keys()]);
  return [...keys].map((key) => {
    const [playerId = '', metric = '', partition = ''] = key.split('\u0000');
    return {
      playerId,
      metric,
      partition,
      samples: samples.get(key) ?? [],
      baseline: baselines.get(key),
      findings: findings.get(key) ?? [],
    };
  });
}

function checkSamples(series: Series, feeds: readonly Feed[], differs: Differs): void {
  const byIdentity = new Map(feeds.map((feed) => [feed.event.identity, feed]));
  const unsampled = new Set(feeds.filter((feed) => feed.judged !== null).map((feed) => feed.event.identity));
  let previous: Feed | null = null;
  for (const sample of series.samples) {
    const feed = byIdentity.get(sample.identity);
    const what = `sample ${String(sample.sample_no)}`;
    if (feed === undefined) {
      differs('sample', what, 'an event that took effect', sample.identity);
      previous = null;
      continue;
    }
    unsampled.delete(sample.identity);
    const possible = feed.judged === null ? intervalsTo(feed, previous, feeds) : [feed.judged];
    if (!possible.some((value) => isNear(value, sample.value)))
      differs('sample', what, possible.slice(0, 3).join(' or ') || 'none', String(sample.value));
    previous = feed;
  }
  for (const identity of unsampled)
    differs('sample', `event ${byIdentity.get(identity)?.event.eventId ?? identity}`, 'a sample', 'none');
}

/** The time since the sample before; for the first one the time since any earlier event, for that one left no sample. */
function intervalsTo({ event, metric }: Feed, previous: Feed | null, feeds: readonly Feed[]): number[] {
  const earlier = previous === null ? feeds.filter((feed) => feed.event.tsMs < event.tsMs) : [previous];
  return earlier.map((before) => {
    const ms = event.tsMs - before.event.tsMs;
    return metric.transform === 'none' ? ms / 1000 : asJudged(metric, ms);
  });
}

function checkBaseline({ samples, baseline }: Series, differs: Differs): void {
  const count = samples.length;
  if (baseline === undefined) {
    if (count > 0) differs('baseline', 'baseline', `${String(count)} samples`, 'none');
    return;
  }
  if (baseline.samples !== count) {
    differs('baseline', 'baseline', `${String(count)} samples`, `${String(baseline.samples)} samples`);
    return;
  }
  if (count === 0) return;
  const mean = samples.reduce((sum, { value }) => sum + value, 0) / count;
  const m2 = samples.reduce((sum, { value }) => sum + (value - mean) ** 2, 0);
  const isRight = isNear(mean, baseline.mean) && isNear(m2, baseline.m2, 1 + count * mean * mean);
  const show = (a: number, b: number): string => `mean ${String(a)}, squares ${String(b)}`;
  if (!isRight) differs('baseline', 'baseline', show(mean, m2), show(baseline.mean, baseline.m2));
}

function isNear(a: number, b: number, scale: number = Math.max(1, Math.abs(a))): boolean {
  return Math.abs(a - b) <= TOLERANCE * Math.max(scale, Math.abs(a));
}

function checkFindings({ metric, samples, findings }: Series, parts: FairnessParts, differs: Differs): void {
  const stored = samples.map((sample) => ({
    sampleNo: sample.sample_no,
    judged: sample.value,
    definitionVersion: sample.definition_version,
  }));
  const metricOf = (version: number): FairnessMetric | null =>
    parts.definitions.get(version)?.fairness.find(({ name }) => name === metric) ?? null;
  const left = new Map(findings.map((finding) => [finding.sample_no, finding]));
  for (const wanted of parts.rerun(stored, metricOf)) {
    const found = left.get(wanted.sampleNo);
    left.delete(wanted.sampleNo);
    const identity = samples[wanted.sampleNo - 1]?.identity ?? '';
    const expected = evidenceText({ ...wanted, identity });
    const text = found === undefined ? 'none' : evidenceText(found);
    if (expected !== text) differs('finding', `sample ${String(wanted.sampleNo)}`, expected, text);
  }
  for (const finding of left.values())
    differs('finding', `sample ${String(finding.sample_no)}`, 'none', evidenceText(finding));
}

const evidenceText = (row: Pick<FindingRow, 'identity' | 'judged' | 'mean' | 'deviation' | 'z'>): string =>
  `z ${String(row.z)} of ${String(row.judged)} against ${String(row.mean)} ± ${String(row.deviation)} (${row.identity})`;
