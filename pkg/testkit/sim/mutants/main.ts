import { DEFAULT_STEPS } from '../run.js';
import { hunt, huntLine, MUTANTS } from './mutants.js';

/** `make mutants`: the table of deliberate bugs, and what noticed each. */

const SEEDS_MAX = 250;

console.log(
  `${String(MUTANTS.length)} deliberate bugs, each hunted in up to ${String(SEEDS_MAX)} worlds: a few minutes on two quiet cores`,
);

let missed = 0;
for (const mutant of MUTANTS) {
  const result = await hunt(mutant, SEEDS_MAX, DEFAULT_STEPS);
  if (result.caught === null) missed += 1;
  console.log(huntLine(result));
}
console.log(`${String(MUTANTS.length)} mutants, ${String(missed)} not caught`);
process.exitCode = missed === 0 ? 0 : 1;
