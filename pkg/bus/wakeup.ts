import type { Clock } from '../kernel/clock.js';

/** Given to `abort`, which otherwise makes an error with a stack at every wake. */
const WOKEN = 'woken';

/** Lets consumers sleep until something was published in this process. Remembers wakes, so none falls between look and sleep. */
export class Wakeup {
  private wakes = 0;
  private readonly sleepers = new Set<() => void>();

  /** Read it before looking for work, hand it to `wait` or `later` after. */
  get count(): number {
    return this.wakes;
  }

  wake(): void {
    this.wakes += 1;
    for (const rouse of this.sleepers) rouse();
    this.sleepers.clear();
  }

  /** Resolves on a wake later than `seen`. For those to whom nothing comes without a wake. */
  later(seen: number): Promise<void> {
    if (seen !== this.wakes) return Promise.resolve();
    return new Promise((resolve) => this.sleepers.add(resolve));
  }

  /** Resolves after `ms`, on a wake later than `seen`, or when `signal` aborts. */
  async wait(seen: number, ms: number, clock: Clock, signal: AbortSignal): Promise<void> {
    if (seen !== this.wakes || signal.aborted) return;
    const sleeper = new AbortController();
    const stop = (): void => sleeper.abort(WOKEN);
    this.sleepers.add(stop);
    signal.addEventListener('abort', stop, { once: true });
    await clock.sleep(ms, sleeper.signal);
    signal.removeEventListener('abort', stop);
    this.sleepers.delete(stop);
  }
}
