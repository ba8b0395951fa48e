import type { Clock } from '../kernel/clock.js';
import { OutageError } from '../kernel/errors.js';

const TICK_MS = 250;

interface Waiting {
  readonly dueMs: number;
  readonly fail: (error: OutageError) => void;
}

/** Fails what has not settled in time, at most a tick late. One sleeper watches all: a timer for each would cost too much. */
export class Deadlines {
  /** All wait equally long, so insertion order is the order of being due. */
  readonly #waiting = new Set<Waiting>();
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #what: string;
  #isWatching = false;

  constructor(what: string, timeoutMs: number, clock: Clock) {
    this.#what = what;
    this.#timeoutMs = timeoutMs;
    this.#clock = clock;
  }

  /** As `work`, or OutageError when it takes longer. The work itself goes on: its effect is unknown. */
  within(work: Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { dueMs: this.#clock.monotonicMs() + this.#timeoutMs, fail: reject };
      this.#waiting.add(waiting);
      const settled = (): void => void this.#waiting.delete(waiting);
      work.then(settled, settled);
      work.then(resolve, reject);
      if (!this.#isWatching) void this.#watch();
    });
  }

  async #watch(): Promise<void> {
    this.#isWatching = true;
    while (this.#waiting.size > 0) {
      await this.#clock.sleep(TICK_MS);
      const nowMs = this.#clock.monotonicMs();
      for (const waiting of this.#waiting) {
        if (waiting.dueMs > nowMs) break;
        this.#waiting.delete(waiting);
        waiting.fail(new OutageError(this.#what, new Error(`no answer in ${String(this.#timeoutMs)} ms`)));
      }
    }
    this.#isWatching = false;
  }
}
