import { expect, test } from '@jest/globals';
import { FairBuffer } from './fair-buffer.js';

const item = (gameId: string, n: number): { gameId: string; n: number } => ({ gameId, n });
const namesOf = (items: readonly { gameId: string; n: number }[]): string[] =>
  items.map(({ gameId, n }) => `${gameId}${String(n)}`);

test('games take turns, and each gives its oldest first', () => {
  const buffer = new FairBuffer<{ gameId: string; n: number }>(10);
  for (const n of [1, 2, 3]) buffer.put(item('a', n));
  buffer.put(item('b', 1));
  expect(namesOf(buffer.take(3))).toEqual(['a1', 'b1', 'a2']);
  expect(namesOf(buffer.take(3))).toEqual(['a3']);
  expect(buffer.take(3)).toEqual([]);
  expect(buffer.size).toBe(0);
});

test('who had no turn in one batch is first in the next', () => {
  const buffer = new FairBuffer<{ gameId: string; n: number }>(10);
  for (const n of [1, 2]) for (const game of ['a', 'b', 'c']) buffer.put(item(game, n));
  expect(namesOf(buffer.take(2))).toEqual(['a1', 'b1']);
  expect(namesOf(buffer.take(2))).toEqual(['c1', 'a2']);
  expect(namesOf(buffer.take(2))).toEqual(['b2', 'c2']);
});

test('a full buffer holds no more, and the game with most gives up its oldest', () => {
  const buffer = new FairBuffer<{ gameId: string; n: number }>(4);
  expect([1, 2, 3, 4].map((n) => buffer.put(item('loud', n)))).toEqual([0, 0, 0, 0]);
  expect([1, 2].map((n) => buffer.put(item('quiet', n)))).toEqual([1, 1]);
  // Both hold two: who asks gives up its own.
  expect(buffer.put(item('quiet', 3))).toBe(1);
  expect(buffer.put(item('loud', 5))).toBe(1);
  expect(buffer.size).toBe(4);
  expect(namesOf(buffer.take(9)).sort()).toEqual(['loud4', 'loud5', 'quiet2', 'quiet3']);
});

test('many games in a buffer that is too small for one of each', () => {
  const buffer = new FairBuffer<{ gameId: string; n: number }>(3);
  for (let n = 0; n < 50; n += 1) buffer.put(item(`g${String(n)}-`, 1));
  expect(buffer.size).toBe(3);
  expect(buffer.take(9)).toHaveLength(3);
  expect(buffer.size).toBe(0);
});
