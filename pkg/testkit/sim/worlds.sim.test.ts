import { expect, test } from '@jest/globals';
import { Coverage } from './coverage.js';
import { DEFAULT_STEPS, describeFailure, runSeed } from './run.js';
import { FAULT_KINDS } from './swarm.js';

const SEEDS = 250;
/** Each its own test, so that a run that ends early says where. */
const SHARES = 5;
const SHARE_TIMEOUT_MS = 240_000;

const coverage = new Coverage();

test.each(Array.from({ length: SHARES }, (_, share) => share))(
  'in every simulated world all promises are kept, whatever fails: share %p',
  async (share) => {
    for (let seed = 1 + share; seed <= SEEDS; seed += SHARES) {
      const result = await runSeed({ seed, steps: DEFAULT_STEPS, coverage });
      if (result.failure !== null) throw new Error(describeFailure(result, DEFAULT_STEPS));
    }
  },
  SHARE_TIMEOUT_MS,
);

test('every kind of fault has struck', () => {
  const struck = new Set(coverage.faults.keys());
  expect(FAULT_KINDS.filter((kind) => !struck.has(kind))).toEqual([]);
});

test('the same seed is the same run, down to the last line of its trace', async () => {
  for (const seed of [3, 71, 112]) {
    const [first, second] = [
      await runSeed({ seed, steps: DEFAULT_STEPS }),
      await runSeed({ seed, steps: DEFAULT_STEPS }),
    ];
    expect(second.lastLines).toEqual(first.lastLines);
    expect([second.traceHash, second.steps]).toEqual([first.traceHash, first.steps]);
  }
});

test('another seed is another run', async () => {
  const [one, other] = [await runSeed({ seed: 1, steps: 300 }), await runSeed({ seed: 2, steps: 300 })];
  expect(one.traceHash).not.toBe(other.traceHash);
});
