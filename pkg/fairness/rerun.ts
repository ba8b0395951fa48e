import type { FairnessMetric } from '../games/port.js';
import { judge, type Evidence } from './judge.js';
import { addSample, NO_SAMPLES, type Moments } from './welford.js';

/** A sample as stored, without its series: `judged` is the value after the metric's transform. */
export interface StoredSample {
  readonly sampleNo: number;
  readonly judged: number;
  readonly definitionVersion: number;
}

export type RerunFinding = StoredSample & Evidence;

/**
 * The findings of one series, from its samples in their stored order: equal to the stored findings bit for bit. A sample
 * whose version no longer has the metric is added and not judged.
 *
 * @throws RangeError when a sample number is missing or out of order
 */
export function rerun(
  samples: Iterable<StoredSample>,
  metricOf: (definitionVersion: number) => FairnessMetric | null,
): RerunFinding[] {
  const findings: RerunFinding[] = [];
  let moments: Moments = NO_SAMPLES;
  for (const sample of samples) {
    if (sample.sampleNo !== moments.samples + 1)
      throw new RangeError(`sample ${String(moments.samples + 1)} is missing`);
    const metric = metricOf(sample.definitionVersion);
    const verdict = metric === null ? null : judge(metric, moments, sample.judged);
    if (verdict?.kind === 'suspicious') {
      const { mean, deviation, z } = verdict;
      findings.push({ ...sample, mean, deviation, z });
    }
    moments = addSample(moments, sample.judged);
  }
  return findings;
}
