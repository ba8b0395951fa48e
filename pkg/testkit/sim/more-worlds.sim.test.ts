import { test } from '@jest/globals';
import { DEFAULT_STEPS, describeFailure, runSeed } from './run.js';

/** A file of its own, so that it runs beside the first. */
const SEEDS = { from: 251, to: 500 };
const TIMEOUT_MS = 300_000;

test(
  'in every simulated world all promises are kept, whatever fails: more worlds',
  async () => {
    for (let seed = SEEDS.from; seed <= SEEDS.to; seed += 1) {
      const result = await runSeed({ seed, steps: DEFAULT_STEPS });
      if (result.failure !== null) throw new Error(describeFailure(result, DEFAULT_STEPS));
    }
  },
  TIMEOUT_MS,
);
