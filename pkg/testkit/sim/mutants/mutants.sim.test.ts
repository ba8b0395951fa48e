import { expect, test } from '@jest/globals';
import { DEFAULT_STEPS } from '../run.js';
import { hunt, MUTANTS } from './mutants.js';

const SEEDS_MAX = 250;
const TIMEOUT_MS = 240_000;

test.each(MUTANTS.map((mutant) => [mutant.name, mutant] as const))(
  'the simulation finds a deliberate bug: %s',
  async (_name, mutant) => {
    const { caught } = await hunt(mutant, SEEDS_MAX, DEFAULT_STEPS);
    expect(caught?.failure ?? null).not.toBeNull();
  },
  TIMEOUT_MS,
);
