import type { Clock } from '../../kernel/clock.js';
import type { Random } from '../../kernel/random.js';
import type { Chance } from './chance.js';
import type { World } from './world.js';

/** What a call of an outside part does with its caller. */
export interface Answering<T> {
  resolve(value: T): void;
  reject(error: unknown): void;
}

/**
 * One process: it can be killed at any step. Every wait of production code goes through here, and what was waited for is
 * dropped when the process is gone: its code simply never goes on, as under SIGKILL.
 */
export class SimNode {
  /** Grows with each life; what belongs to another life is not delivered. */
  life = 0;
  isUp = false;
  /** How wrong the wall clock is. */
  skewMs = 0;
  readonly clock: Clock;
  readonly random: Random;
  /** Called when the life comes to this point: whoever waits for it wants it dead there. */
  ambush: { readonly point: string; readonly strike: () => void } | null = null;
  /** By what the life waits for: how many waits. */
  private readonly waits = new Map<string, number>();
  private bornAtMs = 0;
  private readonly ends = new Set<() => void>();

  constructor(
    readonly world: World,
    readonly name: string,
  ) {
    const chance: Chance = world.chance;
    this.random = chance;
    this.clock = {
      now: () => Math.floor(world.nowMs + this.skewMs),
      monotonicMs: () => world.nowMs - this.bornAtMs,
      sleep: (ms, signal) => this.sleep(ms, signal),
    };
  }

  start(): void {
    this.life += 1;
    this.isUp = true;
    this.bornAtMs = this.world.nowMs;
    this.world.trace(`+ ${this.name} starts`);
  }

  /** Ends this life at once. */
  kill(): void {
    if (!this.isUp) return;
    for (const [point, waits] of this.waits) if (waits > 0) this.world.coverage.crashedAt(point);
    this.world.trace(`x ${this.name} is killed`);
    this.waits.clear();
    this.ambush = null;
    this.isUp = false;
    this.life += 1;
    const ends = [...this.ends];
    this.ends.clear();
    for (const end of ends) end();
  }

  /** Tells a server that holds something for this life when the life has ended. Answers how to call it off. */
  onEnd(told: () => void): () => void {
    this.ends.add(told);
    return () => this.ends.delete(told);
  }

  /** Asks something outside; the answer reaches this life or nobody. `point` names the place in the coverage. */
  ask<T>(point: string, ask: (answering: Answering<T>) => void): Promise<T> {
    const { life, ambush } = this;
    this.waits.set(point, (this.waits.get(point) ?? 0) + 1);
    if (ambush?.point === point) {
      this.ambush = null;
      ambush.strike();
    }
    return new Promise<T>((resolve, reject) => {
      const isHere = (): boolean => {
        if (life !== this.life) return false;
        this.waits.set(point, (this.waits.get(point) ?? 1) - 1);
        return true;
      };
      ask({
        resolve: (value) => {
          if (isHere()) resolve(value);
        },
        reject: (error) => {
          if (isHere()) reject(error instanceof Error ? error : new Error(String(error)));
        },
      });
    });
  }

  private sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true) return Promise.resolve();
    const { life } = this;
    return new Promise((resolve) => {
      const finish = (): void => {
        signal?.removeEventListener('abort', finish);
        happening.act = null;
        if (life === this.life) resolve();
      };
      const happening = this.world.after(Math.max(0, ms), `${this.name} wakes`, finish);
      signal?.addEventListener('abort', finish, { once: true });
    });
  }
}
