import { systemClock } from '../../kernel/clock.js';
import type { Random } from '../../kernel/random.js';
import { built, startProcess } from '../processes.js';

/** What operators do meanwhile, each through a process of the command line. */
export const CHORES = ['hide', 'rebuild-truth', 'restore', 'rebuild-views'] as const;
export type Chore = (typeof CHORES)[number];

export interface ChoresDone {
  readonly done: ReadonlyMap<Chore, number>;
  /** Ended by a kill below them, and begun again. */
  readonly cutOff: number;
  /** What `rebuild truth` had to make again: there was damage, and the verdict would not see it any more. */
  readonly madeAgain: readonly string[];
}

export interface ChoresOptions {
  readonly env: Readonly<Record<string, string>>;
  readonly players: readonly string[];
  readonly pauseMs: readonly [least: number, most: number];
  readonly random: Random;
  /** Aborts when no more are to be begun; each is done once at least, whenever that is. */
  readonly signal: AbortSignal;
}

const TRIES_MAX = 30;
const AGAIN_AFTER_MS = 300;

/** Does one after the other, for other players each round, until it is told to stop. @throws Error when one cannot be done at all */
export async function runChores(options: ChoresOptions): Promise<ChoresDone> {
  const { players, pauseMs, random, signal } = options;
  const [least, most] = pauseMs;
  const done = new Map<Chore, number>();
  const madeAgain: string[] = [];
  let cutOff = 0;
  for (let round = 0; round === 0 || !signal.aborted; round += 1) {
    const player = players[Math.floor(random.unit() * players.length)] ?? '';
    for (const chore of CHORES) {
      if (round > 0 && signal.aborted) break;
      if (chore === 'restore' && round % 2 === 1) continue; // some stay hidden
      const { output, tries } = await doChore(commandOf(chore, player), options.env);
      cutOff += tries - 1;
      done.set(chore, (done.get(chore) ?? 0) + 1);
      if (chore === 'rebuild-truth' && MADE_AGAIN.test(output)) madeAgain.push(output);
      await systemClock.sleep(least + random.unit() * (most - least), signal);
    }
  }
  return { done, cutOff, madeAgain };
}

const MADE_AGAIN = /looked at: [1-9]\d* made again/;
/** It came to its end, and says what it found; of players in motion it tells by its code. */
const REPORTED = /looked at: \d+ made again/;

function commandOf(chore: Chore, player: string): readonly string[] {
  switch (chore) {
    case 'hide':
      return ['player', 'hide', player, '--reason', 'chaos'];
    case 'restore':
      return ['player', 'restore', player];
    case 'rebuild-views':
      return ['rebuild', 'views'];
    case 'rebuild-truth':
      return ['rebuild', 'truth', '--game', 'demo'];
  }
}

/** Again until it is done, as somebody would who sees it fail while a server is away. */
async function doChore(
  command: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<{ output: string; tries: number }> {
  for (let tries = 1; ; tries += 1) {
    const process = startProcess('fairtally', [built('cmd/fairtally/main.js'), ...command], env);
    const { code } = await process.exited;
    const output = process.output();
    if (code === 0 || REPORTED.test(output)) return { output, tries };
    if (tries === TRIES_MAX) throw new Error(`${command.join(' ')} ended with ${String(code)}: ${output}`);
    await systemClock.sleep(AGAIN_AFTER_MS);
  }
}
