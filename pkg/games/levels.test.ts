import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { sqrtCurve, tableCurve } from './levels.js';

describe('the sqrt curve', () => {
  const curve = sqrtCurve(100, 100);

  test('is floor(sqrt(totalXp / 100)) + 1, at most 100', () => {
    expect([0, 99, 100, 399, 400, 980_099, 980_100, 5_000_000].map(curve.levelOf)).toEqual([
      1, 1, 2, 2, 3, 99, 100, 100,
    ]);
    expect([1, 2, 3, 100].map(curve.xpFor)).toEqual([0, 100, 400, 980_100]);
  });

  test('turns at the exact XP, up to 2^53', () => {
    const divisor = fc.integer({ min: 1, max: 1_000_000 });
    fc.assert(
      fc.property(divisor, fc.integer({ min: 2, max: 94_906_265 }), (by, wanted) => {
        const level = Math.min(wanted, Math.floor(Math.sqrt(Number.MAX_SAFE_INTEGER / by)) - 1);
        const { levelOf, xpFor } = sqrtCurve(by, 94_906_266);
        expect(levelOf(xpFor(level))).toBe(level);
        expect(levelOf(xpFor(level) - 1)).toBe(level - 1);
      }),
    );
  });

  test('agrees with whole-number arithmetic for any total', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1000 }), fc.maxSafeNat(), (by, totalXp) => {
        const level = BigInt(sqrtCurve(by, 94_906_267).levelOf(totalXp));
        expect((level - 1n) ** 2n * BigInt(by) <= BigInt(totalXp)).toBe(true);
        expect(level ** 2n * BigInt(by) > BigInt(totalXp)).toBe(true);
      }),
    );
  });
});

describe('a table of levels', () => {
  test('turns at each threshold and ends with the last', () => {
    const { levelOf, xpFor, maxLevel } = tableCurve([0, 10, 25, 1000]);
    expect([0, 9, 10, 24, 25, 999, 1000, 1e9].map(levelOf)).toEqual([1, 1, 2, 2, 3, 3, 4, 4]);
    expect([1, 2, 3, 4, 5].map(xpFor)).toEqual([0, 10, 25, 1000, 1000]);
    expect(maxLevel).toBe(4);
  });

  test('is its own inverse', () => {
    const steps = fc.array(fc.integer({ min: 1, max: 1_000_000 }), { minLength: 1, maxLength: 50 });
    fc.assert(
      fc.property(steps, (gaps) => {
        const thresholds = gaps.reduce<number[]>((all, gap) => [...all, (all.at(-1) ?? 0) + gap], [0]);
        const { levelOf, xpFor, maxLevel } = tableCurve(thresholds);
        for (let level = 2; level <= maxLevel; level += 1) {
          expect([levelOf(xpFor(level)), levelOf(xpFor(level) - 1)]).toEqual([level, level - 1]);
        }
      }),
    );
  });
});
