import { expect, test } from '@jest/globals';
import { movementsOf } from './movement.ts';

const board = (...rows: readonly (readonly [subject: string, score: number])[]) =>
  rows.map(([subject, score], index) => ({
    rank: index + 1,
    subject,
    score,
    reachedAt: '2026-11-20T00:00:00.000Z',
  }));

test('who stands where they stood, with the same score, has not moved', () => {
  const rows = board(['ada', 3], ['bob', 2]);
  expect(movementsOf(rows, rows).size).toBe(0);
});

test('places won count upwards, places lost downwards, and a score that grew is told apart', () => {
  const moved = movementsOf(
    board(['ada', 3], ['bob', 2], ['eve', 1]),
    board(['eve', 9], ['ada', 3], ['bob', 2]),
  );
  expect(Object.fromEntries(moved)).toEqual({
    eve: { places: 2, isNew: false, scored: true },
    ada: { places: -1, isNew: false, scored: false },
    bob: { places: -1, isNew: false, scored: false },
  });
});

test('who scored without passing anybody has moved by no place', () => {
  expect(movementsOf(board(['ada', 3], ['bob', 1]), board(['ada', 3], ['bob', 2])).get('bob')).toEqual({
    places: 0,
    isNew: false,
    scored: true,
  });
});

test('somebody new among those who were seen is new; somebody below them came with another page', () => {
  const moved = movementsOf(
    board(['ada', 3], ['bob', 2]),
    board(['ada', 3], ['new', 3], ['bob', 2], ['next', 1]),
  );
  expect(moved.get('new')).toEqual({ places: 0, isNew: true, scored: true });
  expect(moved.has('next')).toBe(false);
});

test('on a board that was empty nobody is new: it was only loaded', () => {
  expect(movementsOf([], board(['ada', 3])).size).toBe(0);
});
