import { describe, expect, test } from '@jest/globals';
import type { StoredRow } from './view-audit.js';
import { driftOf, isTrue, type Sight } from './view-drift.js';

const row = (revision: number, score: number | null = revision * 10): StoredRow => ({
  revision,
  place: score === null ? null : { score, reachedAtMs: 1_000 },
});
const seen = (truth: StoredRow | null, held: StoredRow | null, ...ranked: readonly number[]): Sight => ({
  truth,
  held,
  ranked: ranked.map((score) => ({ score, reachedAtMs: 1_000 })),
});

describe('what a refresh may be on its way to is no drift:', () => {
  test.each<[string, Sight, Sight]>([
    ['it was true', seen(row(1), row(1)), seen(row(2), row(1))],
    ['it came true', seen(row(2), row(1)), seen(row(2), row(2))],
    ['a new row each time, each shown a moment later', seen(row(2), row(1)), seen(row(3), row(2))],
    ['the view was told between the reads', seen(row(1), row(2)), seen(row(3), row(2))],
    ['a row that came between the looks', seen(null, null), seen(row(1), null)],
    ['a row that the view had before the truth was read', seen(null, row(1)), seen(row(2), row(1))],
    ['a truth that is gone, which voids the view', seen(row(1), row(1, 5)), seen(null, row(1, 5))],
  ])('%s', (_, first, last) => {
    expect(driftOf(first, last)).toBeNull();
  });
});

describe('what stands is drift:', () => {
  test.each<[string, Sight, Sight, 'row' | 'view']>([
    ['a view that was never told', seen(row(2), row(1)), seen(row(2), row(1)), 'row'],
    ['one that does not come after', seen(row(3), row(1)), seen(row(9), row(2)), 'row'],
    ['a row that is missing', seen(row(1), null), seen(row(1), null), 'row'],
    ['a row that is missing beside its member', seen(row(1), null, 10), seen(row(1), null, 10), 'row'],
    ['a row that is missing beside another member', seen(row(1), null, 5), seen(row(1), null, 5), 'view'],
    ['a hidden player without a tombstone', seen(row(2, null), null), seen(row(2, null), null), 'row'],
    ['another score of the same revision', seen(row(2), row(2, 5)), seen(row(2), row(2, 5)), 'view'],
    ['a hidden player who shows', seen(row(2, null), row(2, 5)), seen(row(2, null), row(2, 5)), 'view'],
    ['a revision that the truth has not', seen(row(2), row(7)), seen(row(2), row(7)), 'view'],
    ['a row of nobody', seen(null, row(1)), seen(null, row(1)), 'view'],
    ['a member without a row', seen(null, null, 5), seen(null, null, 5), 'view'],
    ['a second member', seen(row(2), row(2), 20, 5), seen(row(2), row(2), 20, 5), 'view'],
  ])('%s', (_, first, last, drift) => {
    expect(isTrue(last)).toBe(false);
    expect(driftOf(first, last)).toBe(drift);
  });
});
