import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { addSample, deviationOf, NO_SAMPLES, varianceOf } from './welford.js';

const momentsOf = (values: readonly number[]) => values.reduce(addSample, NO_SAMPLES);

test('row 73: the variance survives an offset of 1e9 where the naive formula does not', () => {
  const values = Array.from({ length: 1000 }, (_, i) => 1e9 + (i % 2 === 0 ? 0.5 : -0.5));
  const sum = values.reduce((total, x) => total + x, 0);
  const squares = values.reduce((total, x) => total + x * x, 0);
  const naive = squares / values.length - (sum / values.length) ** 2;
  const { m2, mean } = momentsOf(values);
  expect(naive).not.toBeCloseTo(0.25, 2);
  expect(m2 / values.length).toBeCloseTo(0.25, 9);
  expect(mean).toBe(1e9);
});

test('the deviation is that of a sample, with divisor n - 1', () => {
  expect(deviationOf(momentsOf([2, 4, 4, 4, 5, 5, 7, 9]))).toBeCloseTo(Math.sqrt(32 / 7), 12);
});

test('fewer than two samples have no deviation', () => {
  expect(varianceOf(NO_SAMPLES)).toBeNaN();
  expect(deviationOf(momentsOf([5]))).toBeNaN();
});

test('equal values have a deviation of exactly zero', () => {
  fc.assert(
    fc.property(
      fc.double({ noNaN: true, min: -1e12, max: 1e12 }),
      fc.integer({ min: 2, max: 50 }),
      (value, count) => {
        expect(deviationOf(momentsOf(Array<number>(count).fill(value)))).toBe(0);
      },
    ),
  );
});

test('agrees with the two-pass formula', () => {
  const values = fc.array(fc.double({ noNaN: true, min: -1e6, max: 1e6 }), { minLength: 2, maxLength: 100 });
  fc.assert(
    fc.property(values, (xs) => {
      const mean = xs.reduce((total, x) => total + x, 0) / xs.length;
      const variance = xs.reduce((total, x) => total + (x - mean) ** 2, 0) / (xs.length - 1);
      expect(Math.abs(varianceOf(momentsOf(xs)) - variance)).toBeLessThanOrEqual(
        1e-9 * (1 + mean * mean + variance),
      );
    }),
  );
});
