/**
 * Running moments of a sequence by Welford's method (B. P. Welford, "Note on a Method for Calculating Corrected Sums of
 * Squares and Products", Technometrics 4 (1962); Knuth, TAOCP vol. 2, section 4.2.2). The naive sum of squares loses
 * every digit when the mean is great and the spread small; this one does not.
 */
export interface Moments {
  readonly samples: number;
  readonly mean: number;
  /** Sum of squared differences from the mean. */
  readonly m2: number;
}

export const NO_SAMPLES: Moments = { samples: 0, mean: 0, m2: 0 };

/** The moments with one more value. The order of values decides the last bits, so replays keep it. */
export function addSample(moments: Moments, value: number): Moments {
  const samples = moments.samples + 1;
  const delta = value - moments.mean;
  const mean = moments.mean + delta / samples;
  return { samples, mean, m2: moments.m2 + delta * (value - mean) };
}

/** Sample variance (divisor n - 1); NaN below two samples. */
export const varianceOf = (moments: Moments): number =>
  moments.samples < 2 ? Number.NaN : moments.m2 / (moments.samples - 1);

/** Sample standard deviation; NaN below two samples. */
export const deviationOf = (moments: Moments): number => Math.sqrt(varianceOf(moments));
