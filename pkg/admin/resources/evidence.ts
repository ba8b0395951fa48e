import type { FairnessMetric } from '../../games/port.js';

/** A sample of a series, after the metric's transform. Samples are numbered 1, 2, 3 ... in the order in which they were seen. */
export interface SeriesSample {
  readonly sampleNo: number;
  readonly judged: number;
}

/** What stood before a sample. */
export interface Band {
  /** null: nothing stood. */
  readonly mean: number | null;
  /** null: fewer than two samples stood. */
  readonly deviation: number | null;
}

export const NO_BAND: Band = { mean: null, deviation: null };

/** The sample that is known exactly: a finding keeps the mean and deviation it was judged by. */
export interface Anchor {
  readonly sampleNo: number;
  readonly mean: number;
  readonly deviation: number;
}

interface Moments {
  readonly samples: number;
  readonly mean: number;
  readonly m2: number;
}

/**
 * The band before each sample of a run of them, worked out from the anchor in both directions: one step of Welford's method
 * for each sample, forwards, and the same step undone, backwards. So a picture costs its own length, whatever the series has.
 *
 * @param samples consecutive, the anchor's among them
 */
export function bandsOf(samples: readonly SeriesSample[], anchor: Anchor): readonly Band[] {
  const bands = new Map<number, Moments>();
  const middle = samples.findIndex(({ sampleNo }) => sampleNo === anchor.sampleNo);
  if (middle === -1) return samples.map(() => NO_BAND);
  const stood = anchor.sampleNo - 1;
  const atAnchor = { samples: stood, mean: anchor.mean, m2: anchor.deviation ** 2 * Math.max(0, stood - 1) };
  let moments: Moments = atAnchor;
  for (const { sampleNo, judged } of samples.slice(middle)) {
    bands.set(sampleNo, moments);
    moments = withSample(moments, judged);
  }
  moments = atAnchor;
  for (const { sampleNo, judged } of samples.slice(0, middle).reverse()) {
    moments = withoutSample(moments, judged);
    bands.set(sampleNo, moments);
  }
  return samples.map(({ sampleNo }) => bandOf(bands.get(sampleNo)));
}

function withSample({ samples, mean, m2 }: Moments, value: number): Moments {
  const delta = value - mean;
  const next = mean + delta / (samples + 1);
  return { samples: samples + 1, mean: next, m2: m2 + delta * (value - next) };
}

function withoutSample({ samples, mean, m2 }: Moments, value: number): Moments {
  const left = samples - 1;
  if (left <= 0) return { samples: 0, mean: 0, m2: 0 };
  const before = mean - (value - mean) / left;
  // What rounding leaves of nothing must not become the root of a negative number.
  return { samples: left, mean: before, m2: Math.max(0, m2 - (value - before) * (value - mean)) };
}

const bandOf = (moments: Moments | undefined): Band => ({
  mean: moments === undefined || moments.samples === 0 ? null : moments.mean,
  deviation:
    moments === undefined || moments.samples < 2 ? null : Math.sqrt(moments.m2 / (moments.samples - 1)),
});

/** A judged value as people know it: the transform undone. The time between events comes back in seconds. */
export function shownValue(metric: Pick<FairnessMetric, 'transform' | 'value'>, judged: number): number {
  if (metric.transform === 'none') return judged;
  const value = Math.sign(judged) * Math.expm1(Math.abs(judged));
  return 'sincePrevious' in metric.value ? value / 1000 : value;
}

/** The band with its middle and its ends in the unit of the shown values. An end is null where the rule does not look. */
export function shownBand(
  metric: Pick<FairnessMetric, 'transform' | 'value' | 'side' | 'maxZ'>,
  { mean, deviation }: Band,
): Band & { readonly center: number | null; readonly low: number | null; readonly high: number | null } {
  const end = (direction: -1 | 1, side: 'low' | 'high'): number | null =>
    mean === null || deviation === null || (metric.side !== 'both' && metric.side !== side)
      ? null
      : shownValue(metric, mean + direction * metric.maxZ * deviation);
  const center = mean === null ? null : shownValue(metric, mean);
  return { mean, deviation, center, low: end(-1, 'low'), high: end(1, 'high') };
}
