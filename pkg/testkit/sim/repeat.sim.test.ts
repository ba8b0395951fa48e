import { expect, test } from '@jest/globals';
import { FAILED_SEEDS } from './failed-seeds.js';
import { DEFAULT_STEPS, describeFailure, runSeed } from './run.js';

test.each(FAILED_SEEDS)('the world of seed $seed holds again: $why', async ({ seed }) => {
  const result = await runSeed({ seed, steps: DEFAULT_STEPS });
  if (result.failure !== null) throw new Error(describeFailure(result, DEFAULT_STEPS));
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
