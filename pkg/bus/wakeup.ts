import type { Clock } from '../kernel/clock.js';

/** Given as the reason, so that no DOMException with a stack is made for every wake. */
const AWAKE = 'awake';

/** Lets consumers sleep until something was published in this process. Remembers wakes, so none falls between look and sleep. */
export class Wakeup {
  private wakes = 0;
  private readonly sleepers = new Set<AbortController>();

  /** Read it before looking for work, hand it to `wait` after. */
  get count(): number {
    return this.wakes;
  }

  wake(): void {
    this.wakes += 1;
    for (const sleeper of this.sleepers) sleeper.abort(AWAKE);
    this.sleepers.clear();
  }

  /** Resolves after `ms`, on a wake later than `seen`, or when `signal` aborts. */
  async wait(seen: number, ms: number, clock: Clock, signal: AbortSignal): Promise<void> {
    if (seen !== this.wakes || signal.aborted) return;
    const sleeper = new AbortController();
    const stop = (): void => sleeper.abort(AWAKE);
    this.sleepers.add(sleeper);
    signal.addEventListener('abort', stop, { once: true });
    await clock.sleep(ms, sleeper.signal);
    signal.removeEventListener('abort', stop);
    this.sleepers.delete(sleeper);
  }
}
