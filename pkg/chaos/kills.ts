import type { Clock } from '../kernel/clock.js';
import type { Random } from '../kernel/random.js';

export interface KillOptions<Kind extends string> {
  /** What may be killed. A kind that stands here twice is met twice as often. */
  readonly kinds: readonly Kind[];
  /** SIGKILL; false when there was nothing to kill at this moment. */
  readonly kill: (kind: Kind) => Promise<boolean> | boolean;
  /** Pause between kills: at least and at most. */
  readonly pauseMs: readonly [least: number, most: number];
  readonly killsMax: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly signal: AbortSignal;
  readonly onKill?: (kind: Kind) => void;
}

/** Kills at random until it is told to stop or has killed enough. Answers how often each kind was killed. */
export async function runKills<Kind extends string>(
  options: KillOptions<Kind>,
): Promise<ReadonlyMap<Kind, number>> {
  const { kinds, kill, pauseMs, killsMax, clock, random, signal } = options;
  const [least, most] = pauseMs;
  const counts = new Map<Kind, number>(kinds.map((kind) => [kind, 0]));
  for (let killed = 0; killed < killsMax;) {
    await clock.sleep(least + random.unit() * (most - least), signal);
    if (signal.aborted) break;
    const kind = kinds[Math.floor(random.unit() * kinds.length)];
    if (kind === undefined || !(await kill(kind))) continue;
    killed += 1;
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
    options.onKill?.(kind);
  }
  return counts;
}
