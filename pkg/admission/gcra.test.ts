import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { gcraDecision, gcraStep } from './gcra.js';

const rules = fc.record({
  rate: fc.double({ min: 0.1, max: 10_000, noNaN: true }),
  burst: fc.integer({ min: 1, max: 1000 }),
});
const calls = fc.array(
  fc.record({ waitMs: fc.integer({ min: 0, max: 5000 }), cost: fc.integer({ min: 1, max: 50 }) }),
  {
    maxLength: 60,
  },
);

test('row 59: never grants more than the burst and what the rate has earned', () => {
  fc.assert(
    fc.property(rules, calls, (rule, sequence) => {
      let tatMs = 0;
      let nowMs = 1_000_000;
      let granted = 0;
      let largest = 0;
      const beganMs = nowMs;
      for (const { waitMs, cost } of sequence) {
        nowMs += waitMs;
        const step = gcraStep(tatMs, nowMs, cost, rule);
        tatMs = step.tatMs;
        largest = Math.max(largest, cost);
        if (step.allowed) granted += cost;
      }
      const debt = Math.max(0, largest - rule.burst);
      expect(granted).toBeLessThanOrEqual(rule.burst + debt + ((nowMs - beganMs) * rule.rate) / 1000 + 0.1);
    }),
  );
});

test('row 59: what is refused passes after exactly the told wait, and not a tenth of it earlier', () => {
  fc.assert(
    fc.property(
      rules,
      fc.integer({ min: 1, max: 2000 }),
      fc.integer({ min: 1, max: 2000 }),
      (rule, first, second) => {
        const { tatMs } = gcraStep(0, 5000, first, rule);
        const step = gcraStep(tatMs, 5000, second, rule);
        const { retryAfterSeconds } = gcraDecision(step, 5000, second, rule);
        const waitMs = retryAfterSeconds * 1000;
        expect(gcraStep(tatMs, 5000 + waitMs, second, rule).allowed).toBe(true);
        if (waitMs > 0.1) expect(gcraStep(tatMs, 5000 + waitMs * 0.9, second, rule).allowed).toBe(false);
      },
    ),
  );
});

test('tells what remains and when the bucket is full again', () => {
  const rule = { rate: 10, burst: 100 };
  const step = gcraStep(0, 0, 40, rule);
  expect(gcraDecision(step, 0, 40, rule)).toEqual({
    allowed: true,
    remaining: 60,
    resetSeconds: 4,
    retryAfterSeconds: 0,
  });
});
