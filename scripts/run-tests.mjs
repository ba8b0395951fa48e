// Runs Jest over everything (or what the arguments name) and ends with one line that says how it went.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describeSimulation } from './simulation-report.mjs';

// Many tests with servers wait for them: one more than a small machine has cores keeps it busy.
const WORKERS = 3;

const folder = mkdtempSync(join(tmpdir(), 'fairtally-tests-'));
const report = join(folder, 'report.json');
const jest = fileURLToPath(new URL('../node_modules/jest/bin/jest.js', import.meta.url));
const options = ['--json', `--outputFile=${report}`, `--maxWorkers=${WORKERS}`];
const run = spawnSync(
  process.execPath,
  ['--experimental-vm-modules', '--no-warnings', jest, ...options, ...process.argv.slice(2)],
  // The report is also printed on standard output, where nobody wants it; what is read goes to standard error.
  {
    stdio: ['inherit', 'ignore', 'inherit'],
    env: { ...process.env, SIMULATION_REPORT: folder },
  },
);

let summary = 'Tests: 0 passed, 1 failed (the run itself ended early)';
let isGood = false;
try {
  const result = JSON.parse(readFileSync(report, 'utf8'));
  // A file that could not even be loaded has no tests to count, and is a failure all the same.
  const unloaded = result.testResults.filter(
    (file) => file.status === 'failed' && file.assertionResults.length === 0,
  );
  const failed = result.numFailedTests + unloaded.length;
  const skipped = result.numPendingTests + result.numTodoTests;
  summary = `Tests: ${result.numPassedTests} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
  isGood = result.success && failed === 0;
} catch {
  // Without a report the run has failed, which is what the summary says already.
}
for (const line of describeSimulation(folder)) console.log(line);
rmSync(folder, { recursive: true, force: true });
console.log(summary);
process.exitCode = isGood && run.status === 0 ? 0 : 1;
