import { Violation } from '../ground.js';
import { runSeed, type RunResult } from '../run.js';
import { boardMutants } from './board-mutants.js';
import { edgeMutants } from './edge-mutants.js';
import { healMutants } from './heal-mutants.js';
import { swarmOf } from '../swarm.js';
import type { Mutant } from './mutant.js';
import { operatorMutants } from './operator-mutants.js';
import { workerMutants } from './worker-mutants.js';

export const MUTANTS: readonly Mutant[] = [
  ...workerMutants,
  ...boardMutants,
  ...edgeMutants,
  ...operatorMutants,
  ...healMutants,
];

export interface Hunt {
  readonly mutant: string;
  /** How many were run. */
  readonly worlds: number;
  /** The first world that noticed; null: none did. */
  readonly caught: RunResult | null;
}

/** Runs worlds with a bug in them until one notices. */
export async function hunt(
  { name, focus = [], needs = () => true, doubles }: Mutant,
  seedsMax: number,
  steps: number,
): Promise<Hunt> {
  let worlds = 0;
  for (let seed = 1; seed <= seedsMax; seed += 1) {
    if (!needs(swarmOf(seed, focus))) continue;
    worlds += 1;
    const result = await runSeed({ seed, steps, focus, doubles: doubles() });
    if (result.failure !== null) return { mutant: name, worlds, caught: result };
  }
  return { mutant: name, worlds, caught: null };
}

/** The invariant that a world saw broken; otherwise what ended it. */
export const caughtBy = (caught: RunResult | null): string => {
  const failure = caught?.failure ?? null;
  if (failure === null) return 'NOT CAUGHT';
  return failure instanceof Violation ? failure.invariant : failure.name;
};

/** One line of the table: the mutant, what caught it, in which world. */
export function huntLine({ mutant, caught }: Hunt): string {
  const by = caught === null ? 'NOT CAUGHT' : `seed ${String(caught.seed)}: ${caught.failure?.message ?? ''}`;
  return `${mutant.padEnd(56)} ${by}`.replaceAll('\u0000', '|').slice(0, 180);
}
