import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { judge, transformed, type Rule } from './judge.js';
import { addSample, NO_SAMPLES } from './welford.js';

const PLAIN: Rule = { side: 'both', minSamples: 10, maxZ: 3 };
const momentsOf = (values: readonly number[]) => values.reduce(addSample, NO_SAMPLES);
const ten = momentsOf([9, 11, 9, 11, 9, 11, 9, 11, 9, 11]);

test('row 73: too few samples are no verdict, however far the value', () => {
  expect(judge(PLAIN, momentsOf([9, 11, 9, 11, 9, 11, 9, 11, 9]), 1e9)).toEqual({
    kind: 'no-verdict',
    why: 'few-samples',
  });
  expect(judge(PLAIN, ten, 1e9).kind).toBe('suspicious');
});

test('row 73: a constant sample is no verdict, whatever comes next', () => {
  const constant = momentsOf(Array<number>(20).fill(0.1));
  expect(judge(PLAIN, constant, 1e9)).toEqual({ kind: 'no-verdict', why: 'no-deviation' });
  expect(judge(PLAIN, constant, 0.1)).toEqual({ kind: 'no-verdict', why: 'no-deviation' });
});

test('row 73: a rule that asks for no samples still gets no verdict from one', () => {
  const rule: Rule = { ...PLAIN, minSamples: 0 };
  expect(judge(rule, NO_SAMPLES, 5).kind).toBe('no-verdict');
  expect(judge(rule, momentsOf([5]), 5).kind).toBe('no-verdict');
});

test('row 73: NaN and Infinity never compare as fine', () => {
  for (const m2 of [Number.NaN, Number.POSITIVE_INFINITY, -1]) {
    expect(judge(PLAIN, { samples: 20, mean: 0, m2 }, 1).kind).toBe('no-verdict');
  }
  expect(judge(PLAIN, { samples: 20, mean: Number.NaN, m2: 1 }, 1).kind).toBe('no-verdict');
  expect(judge(PLAIN, ten, Number.NaN).kind).toBe('no-verdict');
  expect(judge(PLAIN, ten, Number.POSITIVE_INFINITY).kind).toBe('suspicious');
});

test('a value exactly at the limit is fine and beyond it suspicious', () => {
  const before = { samples: 11, mean: 10, m2: 40 };
  expect(judge(PLAIN, before, 16)).toEqual({ kind: 'fine', mean: 10, deviation: 2, z: 3 });
  expect(judge(PLAIN, before, 16.001).kind).toBe('suspicious');
  expect(judge(PLAIN, before, 3.999).kind).toBe('suspicious');
});

test('a rule of one side does not see the other', () => {
  expect(judge({ ...PLAIN, side: 'high' }, ten, -1e6).kind).toBe('fine');
  expect(judge({ ...PLAIN, side: 'high' }, ten, 1e6).kind).toBe('suspicious');
  expect(judge({ ...PLAIN, side: 'low' }, ten, 1e6).kind).toBe('fine');
  expect(judge({ ...PLAIN, side: 'low' }, ten, -1e6).kind).toBe('suspicious');
});

const LOG = { transform: 'log', value: { field: 'deltaXp' } } as const;

test('the log transform is defined for every number, keeps order and sign, and never overflows', () => {
  const number = fc.double({ noNaN: true, noDefaultInfinity: true });
  fc.assert(
    fc.property(number, number, (a, b) => {
      const [x, y] = [transformed(LOG, a), transformed(LOG, b)];
      expect(Number.isFinite(x)).toBe(true);
      expect(Math.sign(x) === Math.sign(a)).toBe(true);
      if (a < b) expect(x).toBeLessThanOrEqual(y);
    }),
  );
  expect(transformed(LOG, 0)).toBe(0);
});

test('without a transform a value is judged as sent', () => {
  expect(transformed({ ...LOG, transform: 'none' }, -12.5)).toBe(-12.5);
});

test('the logarithm of the time between events is taken in milliseconds', () => {
  expect(transformed({ transform: 'log', value: { sincePrevious: true } }, 1.5)).toBe(Math.log1p(1_500));
});
