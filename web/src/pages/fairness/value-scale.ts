import type { Schema } from '../../api/schema.ts';

type Evidence = Schema<'Evidence'>;

/** An axis that is laid out in judged numbers and read in values. */
export interface ValueScale {
  /** The value that stands at a judged number. */
  readonly valueAt: (judged: number) => number;
  /** Judged numbers at which round values stand; null: any will do. */
  readonly ticks: (min: number, max: number) => readonly number[] | null;
}

const ROUND = [1, 2, 5] as const;
const MAX_EXPONENT = 15;
const MANY = 8;
/** Words that stand nearer than this part of the axis run into each other. */
const CROWDED = 16;

/**
 * The axis of a series. After `log` a value v stands at sign(v) × ln(1 + |v| × unit); the unit is read off the samples, which come both
 * ways, for times are judged in milliseconds and shown in seconds.
 */
export function scaleOf(
  transform: Evidence['transform'],
  points: readonly Pick<Schema<'EvidencePoint'>, 'value' | 'judged'>[],
): ValueScale {
  if (transform === 'none') return { valueAt: (judged) => judged, ticks: () => null };
  const sample = points.find(({ value }) => value !== 0);
  const unit = sample === undefined ? 1 : Math.abs(Math.expm1(Math.abs(sample.judged)) / sample.value);
  const judgedAt = (value: number) => Math.sign(value) * Math.log1p(Math.abs(value) * unit);
  const valueAt = (judged: number) => tidy((Math.sign(judged) * Math.expm1(Math.abs(judged))) / unit);
  const ticks = (min: number, max: number) => {
    const within = roundValues()
      .map(judgedAt)
      .filter((judged) => judged >= min && judged <= max);
    const decades = within.filter((judged) => isPowerOfTen(valueAt(judged)));
    const chosen = within.length > MANY && decades.length > 1 ? decades : within;
    return apart(chosen, (max - min) / CROWDED);
  };
  return { valueAt, ticks };
}

/** Those that are at least so far from the one kept before. */
const apart = (places: readonly number[], distance: number): readonly number[] =>
  places.reduce<number[]>(
    (kept, place) => (place - (kept.at(-1) ?? -Infinity) < distance ? kept : [...kept, place]),
    [],
  );

/** What went through exp and back ends in 9s: ten digits are enough for a picture. */
const tidy = (value: number): number => Number(value.toPrecision(10));

const isPowerOfTen = (value: number): boolean => value === 0 || Number.isInteger(Math.log10(Math.abs(value)));

function roundValues(): readonly number[] {
  const positive: number[] = [];
  for (let exponent = -3; exponent <= MAX_EXPONENT; exponent += 1)
    for (const digit of ROUND) positive.push(Number(`${digit}e${exponent}`));
  return [...positive.map((value) => -value).reverse(), 0, ...positive];
}
