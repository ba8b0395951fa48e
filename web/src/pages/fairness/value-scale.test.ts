import { expect, test } from '@jest/globals';
import { scaleOf } from './value-scale.ts';

const logOf = (value: number, unit = 1) => ({
  value,
  judged: Math.sign(value) * Math.log1p(Math.abs(value) * unit),
});

test('without a transform a judged number is the value, and any ticks will do', () => {
  const scale = scaleOf('none', [{ value: 3, judged: 3 }]);
  expect(scale.valueAt(3)).toBe(3);
  expect(scale.ticks(0, 10)).toBeNull();
});

test('on a logarithmic axis each judged number is read as its value, also below zero', () => {
  const points = [0, 4, 250, -1_000].map((value) => logOf(value));
  const scale = scaleOf('log', points);
  expect(points.map(({ judged }) => scale.valueAt(judged))).toEqual([0, 4, 250, -1_000]);
});

test('values that are judged in a smaller unit are read in their own', () => {
  const scale = scaleOf('log', [logOf(0, 1_000), logOf(12, 1_000)]);
  expect(scale.valueAt(logOf(90, 1_000).judged)).toBe(90);
});

test('ticks stand at round values within the axis, and not so near that their words meet', () => {
  const scale = scaleOf('log', [logOf(50)]);
  const [min, max] = [logOf(40).judged, logOf(900).judged];
  const ticks = scale.ticks(min, max) ?? [];
  expect(ticks.map((judged) => scale.valueAt(judged))).toEqual([50, 100, 200, 500]);
});

test('over many decades only their beginnings have ticks', () => {
  const scale = scaleOf('log', [logOf(10)]);
  const values = (scale.ticks(0, logOf(1_000_000).judged) ?? []).map((judged) => scale.valueAt(judged));
  expect(values).toContain(1_000_000);
  expect(values.every((value) => value === 0 || Number.isInteger(Math.log10(value)))).toBe(true);
});

test('a series of zeros has an axis too', () => {
  expect(scaleOf('log', [logOf(0)]).valueAt(Math.log1p(7))).toBe(7);
});
