import type { FairnessMetric } from '../games/port.js';
import { deviationOf, type Moments } from './welford.js';

/** What a rule needs to judge one value. */
export type Rule = Pick<FairnessMetric, 'side' | 'minSamples' | 'maxZ'>;

export interface Evidence {
  /** Mean and sample deviation of the samples before the value, and its distance from the mean in deviations. */
  readonly mean: number;
  readonly deviation: number;
  readonly z: number;
}

export type Verdict =
  | { readonly kind: 'no-verdict'; readonly why: 'few-samples' | 'no-deviation' }
  | ({ readonly kind: 'fine' | 'suspicious' } & Evidence);

/** Below two samples there is no deviation, whatever a rule asks. */
const LEAST_SAMPLES = 2;

/**
 * Judges a value against the samples before it. No deviation (all samples equal, or a broken number) is no verdict:
 * every comparison with NaN is false, and false must not read as "fine".
 */
export function judge(rule: Rule, before: Moments, value: number): Verdict {
  if (before.samples < Math.max(rule.minSamples, LEAST_SAMPLES))
    return { kind: 'no-verdict', why: 'few-samples' };
  const deviation = deviationOf(before);
  const z = (value - before.mean) / deviation;
  if (!(deviation > 0) || !Number.isFinite(deviation) || Number.isNaN(z))
    return { kind: 'no-verdict', why: 'no-deviation' };
  return { kind: isBeyond(rule, z) ? 'suspicious' : 'fine', mean: before.mean, deviation, z };
}

function isBeyond(rule: Rule, z: number): boolean {
  switch (rule.side) {
    case 'high':
      return z > rule.maxZ;
    case 'low':
      return z < -rule.maxZ;
    case 'both':
      return Math.abs(z) > rule.maxZ;
  }
}

/**
 * The value as the rule sees it. `log` is sign(x) ln(1 + |x|): like a logarithm for great values, but defined for every
 * number, so that a kill in 0 ms is an extreme value and not one that escapes judgement. Monotone, 0 stays 0. The time
 * between events enters it in milliseconds, the resolution of `ts`, because ln(1 + x) is flat below 1.
 */
export function transformed(metric: Pick<FairnessMetric, 'transform' | 'value'>, value: number): number {
  if (metric.transform === 'none') return value;
  const x = 'sincePrevious' in metric.value ? value * 1000 : value;
  return Math.sign(x) * Math.log1p(Math.abs(x));
}
