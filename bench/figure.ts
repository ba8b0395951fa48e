/** One line of the result: what was measured, the limit measured beside it, and what share of the limit is kept. */
export interface Figure {
  readonly name: string;
  readonly measured: string;
  readonly limit: string;
  /** measured / limit; for bounds (`atMost`) the measured value itself. */
  readonly value: number;
  readonly goal: {
    readonly kind: 'atLeast' | 'atMost';
    readonly value: number;
    readonly unit: string;
  } | null;
  /** What a reader must know to judge it. */
  readonly note?: string;
}

export const isMet = ({ value, goal }: Figure): boolean | null =>
  goal === null ? null : goal.kind === 'atLeast' ? value >= goal.value : value <= goal.value;

/** The middle value; of an even number the mean of the two in the middle. NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.ceil(middle) - 1] ?? NaN) + (sorted[Math.floor(middle)] ?? NaN)) / 2;
}

/** The nearest-rank percentile, `share` in 0..1. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? NaN;
}

export const perSecond = (rate: number, unit = ''): string =>
  `${Math.round(rate).toLocaleString('en-US')}${unit === '' ? '' : ` ${unit}`}/s`;

const MIB = 1024 * 1024;
export const mebibytes = (bytes: number): string => `${(bytes / MIB).toFixed(0)} MB`;
