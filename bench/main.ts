import { parseArgs } from 'node:util';
import type { Bench, Part } from './bench.js';
import { admin } from './admin.js';
import { buses } from './buses.js';
import type { Figure } from './figure.js';
import { ingest } from './ingest.js';
import { describeMachine } from './machine.js';
import { markdownOf, writeDocument, writeJson } from './report.js';
import { overload } from './overload.js';
import { roles } from './roles.js';
import { startServers } from './servers.js';
import { stack } from './stack.js';

/**
 * `npm run bench`: every figure beside a limit measured in the same run (docs/benchmarks.md). From the root of the project,
 * after `npm run build`. Options: `--only ingest,roles,buses,stack,overload,admin`, `--profile DIR`, `--write` (into docs/benchmarks.md).
 */
const PARTS: Readonly<Record<string, Part>> = { ingest, roles, buses, stack, overload, admin };
const RESULTS = 'bench/results/latest.json';

const { values } = parseArgs({
  options: { only: { type: 'string' }, profile: { type: 'string' }, write: { type: 'boolean' } },
});
const names = values.only?.split(',') ?? Object.keys(PARTS);
const beganMs = performance.now();
const secondsSoFar = (): number => (performance.now() - beganMs) / 1000;

const started: ReturnType<typeof startServers>[] = [];
const bench: Bench = {
  tell: (line) => console.error(`${secondsSoFar().toFixed(0).padStart(4)} s  ${line}`),
  nodeArgs: values.profile === undefined ? [] : ['--cpu-prof', '--cpu-prof-dir', values.profile],
  servers: () => started[0] ?? (started[0] = startServers()),
};

try {
  const figures: Figure[] = [];
  for (const name of names) {
    const part = PARTS[name];
    if (part === undefined) throw new Error(`there is no part ${name}: ${Object.keys(PARTS).join(', ')}`);
    figures.push(...(await part(bench)));
  }
  const machine = await describeMachine((await started[0]) ?? null);
  const report = { machine, seconds: secondsSoFar(), figures };
  writeJson(RESULTS, report);
  if (values.write === true) writeDocument('.', report);
  console.log(markdownOf(report));
} finally {
  await started[0]?.then((servers) => servers.stop());
}
