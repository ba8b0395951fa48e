import { expect, test } from '@jest/globals';
import { tell } from '../report.js';
import { DEFAULT_STEPS } from '../run.js';
import { caughtBy, hunt, MUTANTS } from './mutants.js';

const SEEDS_MAX = 250;
const TIMEOUT_MS = 240_000;

test.each(MUTANTS.map((mutant) => [mutant.name, mutant] as const))(
  'the simulation finds a deliberate bug: %s',
  async (name, mutant) => {
    const { caught, worlds } = await hunt(mutant, SEEDS_MAX, DEFAULT_STEPS);
    tell({ kind: 'mutant', name, caughtBy: caughtBy(caught), worlds });
    expect(caught?.failure ?? null).not.toBeNull();
  },
  TIMEOUT_MS,
);
