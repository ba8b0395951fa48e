import { expect, test } from '@jest/globals';
import { Coverage } from './coverage.js';
import { tell } from './report.js';
import { DEFAULT_STEPS, describeFailure, runSeed } from './run.js';
import { FAULT_KINDS } from './swarm.js';

const WORLDS = 500;
/** Each its own test, so that a run that ends early says where. */
const SHARES = 5;
const SHARE_TIMEOUT_MS = 240_000;

const coverage = new Coverage();
let steps = 0;

test.each(Array.from({ length: SHARES }, (_, share) => share))(
  'in every simulated world all promises are kept, whatever fails: share %p',
  async (share) => {
    for (let seed = 1 + share; seed <= WORLDS; seed += SHARES) {
      const result = await runSeed({ seed, steps: DEFAULT_STEPS, coverage });
      if (result.failure !== null) throw new Error(describeFailure(result, DEFAULT_STEPS));
      steps += result.steps;
    }
  },
  SHARE_TIMEOUT_MS,
);

test('every kind of fault has struck', () => {
  tell({ kind: 'worlds', seeds: WORLDS, steps, coverage: coverage.counts() });
  const struck = new Set(coverage.faults.keys());
  expect(FAULT_KINDS.filter((kind) => !struck.has(kind))).toEqual([]);
});
