import { expect, test } from '@jest/globals';
import { COUNTS_MAX, MinuteCounts, PAIRS_MAX } from './minute-counts.js';

const MINUTE_MS = 60_000;
const kind = (over: object = {}): Parameters<MinuteCounts['add']>[0] => ({
  gameId: 'demo',
  code: 'invalid_ts',
  build: '1.0',
  atMs: 5 * MINUTE_MS + 7,
  ...over,
});

test('refusals are counted by game, minute, reason and build, and taken once', () => {
  const counts = new MinuteCounts();
  for (const over of [
    {},
    {},
    { build: null },
    { gameId: 'b' },
    { code: 'too_deep' },
    { atMs: 6 * MINUTE_MS },
  ])
    expect(counts.add(kind(over))).toBe(true);
  const one = { gameId: 'demo', minuteMs: 5 * MINUTE_MS, code: 'invalid_ts', build: '1.0', events: 1 };
  expect(counts.take(2)).toEqual([
    { ...one, events: 2 },
    { ...one, build: '' },
  ]);
  expect(counts.take(9)).toEqual([
    { ...one, gameId: 'b' },
    { ...one, code: 'too_deep' },
    { ...one, minuteMs: 6 * MINUTE_MS },
  ]);
  expect(counts.take(9)).toEqual([]);
});

test('what clients say of their build makes no counts without end: later ones of a minute are other, odd ones too', () => {
  const counts = new MinuteCounts();
  for (let n = 0; n < 3 * PAIRS_MAX; n += 1) counts.add(kind({ build: `b${String(n)}` }));
  counts.add(kind({ build: 'x\n' }));
  counts.add(kind({ gameId: 'b', build: 'b99' }));
  expect(counts.size).toBe(PAIRS_MAX + 2);
  const taken = counts.take(COUNTS_MAX);
  expect(taken.find(({ build }) => build === 'other')?.events).toBe(2 * PAIRS_MAX + 1);
  expect(taken.find(({ gameId }) => gameId === 'b')?.build).toBe('b99');
  // Written in between, they are known still; the next minute begins anew.
  counts.add(kind({ build: 'b0' }));
  counts.add(kind({ build: 'b1000' }));
  counts.add(kind({ build: 'b1000', atMs: 6 * MINUTE_MS }));
  expect(counts.take(9).map(({ build }) => build)).toEqual(['b0', 'other', 'b1000']);
});

test('while nothing can be written there is a bound, and what is counted already goes on being counted', () => {
  const counts = new MinuteCounts();
  for (let n = 0; n < COUNTS_MAX; n += 1)
    expect(counts.add(kind({ atMs: n * MINUTE_MS, build: null }))).toBe(true);
  expect(counts.add(kind({ atMs: COUNTS_MAX * MINUTE_MS, build: null }))).toBe(false);
  expect(counts.add(kind({ atMs: 3 * MINUTE_MS, build: null }))).toBe(true);
  expect(counts.size).toBe(COUNTS_MAX);
});
