import { Coverage } from './coverage.js';
import { DEFAULT_STEPS, describeFailure, runSeed } from './run.js';

const [from = 1, to = 20, steps = DEFAULT_STEPS] = process.argv.slice(2).map(Number);
const coverage = new Coverage();
const startedAtMs = performance.now();
let total = 0;
let failures = 0;
for (let seed = from; seed <= to; seed += 1) {
  const result = await runSeed({ seed, steps, coverage });
  total += result.steps;
  if (result.failure !== null) {
    failures += 1;
    if (failures <= 3) console.log(describeFailure(result, steps));
    else console.log(seed, result.failure.message);
  }
}
for (const line of coverage.lines()) console.log(line);
const seconds = (performance.now() - startedAtMs) / 1000;
console.log({ seeds: to - from + 1, failures, total, seconds, perStepUs: (seconds * 1e6) / total });
