import { fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Coverage, type CoverageCounts } from './coverage.js';
import { DEFAULT_STEPS, describeFailure, runSeed } from './run.js';

/** `make sim`: worlds by their seeds, in a process per processor. SEED=N shows one of them, SEEDS=A..B runs many. */

const PROCESSES_MAX = 8;
/** Seeds that a process takes at once. */
const SHARE = 25;
/** Outages are common here and nobody reads where each was made; `SEED=N` shows the one that matters. */
const LEAN = ['--stack-trace-limit=0', '--max-semi-space-size=32'];
/** What comes up less often in many seeds is named. */
const OFTEN = 100;
const MANY_SEEDS = 1_000;
const FAILURES_SHOWN = 3;
const DEFAULT_SEEDS = '1..2000';

interface Share {
  readonly from: number;
  readonly to: number;
  readonly steps: number;
}

interface ShareDone {
  readonly seeds: number;
  readonly steps: number;
  readonly failures: readonly { readonly seed: number; readonly text: string }[];
  readonly coverage: CoverageCounts;
}

async function runShare({ from, to, steps }: Share): Promise<ShareDone> {
  const coverage = new Coverage();
  const failures: { seed: number; text: string }[] = [];
  let taken = 0;
  for (let seed = from; seed <= to; seed += 1) {
    const result = await runSeed({ seed, steps, coverage });
    taken += result.steps;
    if (result.failure !== null) failures.push({ seed, text: describeFailure(result, steps) });
  }
  return { seeds: to - from + 1, steps: taken, failures, coverage: coverage.counts() };
}

function readArguments(): { from: number; to: number; steps: number } {
  const settings = new Map(process.argv.slice(2).map((argument) => argument.split('=') as [string, string]));
  const seeds = settings.get('SEED') ?? settings.get('SEEDS') ?? DEFAULT_SEEDS;
  const [from = NaN, to = from] = seeds.split('..').map(Number);
  const steps = Number(settings.get('STEPS') ?? DEFAULT_STEPS);
  if (![from, to, steps].every(Number.isSafeInteger))
    throw new Error('SEED=N, SEEDS=A..B and STEPS=N are numbers');
  return { from, to, steps };
}

/** Hands shares to children until none is left. */
async function runAll({ from, to, steps }: Share): Promise<{ total: ShareDone; coverage: Coverage }> {
  const coverage = new Coverage();
  const failures: { seed: number; text: string }[] = [];
  let next = from;
  let seeds = 0;
  let taken = 0;
  const child = async (): Promise<void> => {
    const process = fork(fileURLToPath(import.meta.url), ['child'], { execArgv: LEAN });
    while (next <= to) {
      const share = { from: next, to: Math.min(to, next + SHARE - 1), steps };
      next = share.to + 1;
      const done = await new Promise<ShareDone>((resolve, reject) => {
        process.once('message', (message) => resolve(message as ShareDone));
        process.once('exit', () =>
          reject(new Error(`the process of seeds ${String(share.from)}.. ended early`)),
        );
        process.send(share);
      });
      process.removeAllListeners('exit');
      coverage.add(done.coverage);
      failures.push(...done.failures);
      seeds += done.seeds;
      taken += done.steps;
    }
    process.disconnect();
  };
  const processes = Math.min(PROCESSES_MAX, availableParallelism(), Math.ceil((to - from + 1) / SHARE));
  await Promise.all(Array.from({ length: processes }, child));
  return { total: { seeds, steps: taken, failures, coverage: coverage.counts() }, coverage };
}

async function lead(): Promise<void> {
  const startedAtMs = performance.now();
  const share = readArguments();
  console.log(
    `${String(share.to - share.from + 1)} worlds (seeds ${String(share.from)}..${String(share.to)}) of ${String(share.steps)} steps; ` +
      '2,000 of them take about a minute on two quiet cores',
  );
  const { total, coverage } = await runAll(share);
  const failures = [...total.failures].sort((a, b) => a.seed - b.seed);
  for (const { text } of failures.slice(0, FAILURES_SHOWN)) console.log(`${text}\n`);
  for (const { seed, text } of failures.slice(FAILURES_SHOWN))
    console.log(`seed ${String(seed)}: ${text.split('\n')[0] ?? ''}`);
  for (const line of coverage.lines()) console.log(line);
  const rare = coverage.below(OFTEN);
  if (total.seeds >= MANY_SEEDS)
    console.log(`less than ${String(OFTEN)} times: ${rare.length === 0 ? 'nothing' : rare.join(', ')}`);
  const seconds = (performance.now() - startedAtMs) / 1000;
  console.log(
    `${String(total.seeds)} seeds, ${String(total.steps)} steps, ${seconds.toFixed(1)} s: ${String(failures.length)} failed`,
  );
  process.exitCode = failures.length === 0 ? 0 : 1;
}

if (process.argv[2] === 'child') {
  process.on('message', (share: Share) => {
    void runShare(share).then((done) => process.send?.(done));
  });
} else await lead();
