// What the tests of the simulation told (pkg/testkit/sim/report.ts), for people: the table of deliberate bugs with what
// caught each, and how often each fault struck.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The lines to print; none where no such test ran. */
export function describeSimulation(folder) {
  const reports = readdirSync(folder)
    .filter((name) => name.endsWith('.ndjson'))
    .flatMap((name) => readFileSync(join(folder, name), 'utf8').trim().split('\n'))
    .map((line) => JSON.parse(line));
  return [
    ...mutantLines(reports.filter(({ kind }) => kind === 'mutant')),
    ...worldLines(reports.filter(({ kind }) => kind === 'worlds')),
  ];
}

function mutantLines(mutants) {
  if (mutants.length === 0) return [];
  const width = Math.max(...mutants.map(({ name }) => name.length));
  const row = (name, caughtBy, worlds) => `  ${name.padEnd(width)}  ${caughtBy.padEnd(10)}  ${worlds}`;
  const missed = mutants.filter(({ caughtBy }) => caughtBy === 'NOT CAUGHT').length;
  return [
    row('deliberate bug', 'caught by', 'worlds it took'),
    ...mutants.map(({ name, caughtBy, worlds }) => row(name, caughtBy, String(worlds))),
    `${mutants.length} deliberate bugs, ${missed} not caught`,
  ];
}

function worldLines(worlds) {
  if (worlds.length === 0) return [];
  const total = (name) => worlds.reduce((sum, world) => sum + world[name], 0);
  const counted = (name) => {
    const counts = new Map();
    for (const { coverage } of worlds)
      for (const [what, times] of coverage[name]) counts.set(what, (counts.get(what) ?? 0) + times);
    return [...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([what, times]) => `${what} ${times}`);
  };
  return [
    `faults: ${counted('faults').join(', ')}`,
    `killed while at: ${counted('crashPoints').join(', ')}`,
    `${total('seeds')} simulated worlds, ${total('steps')} steps`,
  ];
}
