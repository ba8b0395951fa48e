import { describe, expect, test } from '@jest/globals';
import { bandsOf, shownValue } from './evidence.js';

const VALUES = [3, 5, 4, 6, 5, 40, 5, 4, 7, 3];
const SAMPLES = VALUES.map((judged, index) => ({ sampleNo: index + 1, judged }));

const meanOf = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;
const deviationOf = (values: readonly number[]): number => {
  const mean = meanOf(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1));
};

describe('the evidence of a finding', () => {
  test('is the mean and the deviation of all that stood before each sample, worked out from the finding in both directions', () => {
    const before = VALUES.slice(0, 5);
    const bands = bandsOf(SAMPLES, { sampleNo: 6, mean: meanOf(before), deviation: deviationOf(before) });
    for (const [index, band] of bands.entries()) {
      const stood = VALUES.slice(0, index);
      if (stood.length === 0) expect(band.mean).toBeNull();
      else expect(band.mean).toBeCloseTo(meanOf(stood), 9);
      if (stood.length < 2) expect(band.deviation).toBeNull();
      else expect(band.deviation).toBeCloseTo(deviationOf(stood), 9);
    }
  });

  test('has no band where the finding is not among the samples', () => {
    expect(bandsOf(SAMPLES.slice(7), { sampleNo: 6, mean: 1, deviation: 1 })).toEqual(
      Array.from({ length: 3 }, () => ({ mean: null, deviation: null })),
    );
  });

  test('never has a deviation that is no number, however the last digits fall', () => {
    const equal = Array.from({ length: 20 }, (_, index) => ({ sampleNo: index + 1, judged: 0.1 }));
    const bands = bandsOf(equal, { sampleNo: 20, mean: 0.1, deviation: 0 });
    expect(bands.slice(2).every(({ deviation }) => deviation !== null && deviation < 1e-9)).toBe(true);
  });

  test('is shown in the unit of the event: the transform undone, the time between events in seconds', () => {
    expect(shownValue({ transform: 'none', value: { field: 'x' } }, 12)).toBe(12);
    expect(shownValue({ transform: 'log', value: { field: 'x' } }, -Math.log1p(500))).toBeCloseTo(-500, 6);
    expect(shownValue({ transform: 'log', value: { sincePrevious: true } }, Math.log1p(2500))).toBeCloseTo(
      2.5,
      9,
    );
  });
});
