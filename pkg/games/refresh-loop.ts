import type { Clock } from '../kernel/clock.js';

export interface RefreshLoop {
  readonly everyMs: number;
  readonly clock: Pick<Clock, 'sleep'>;
  readonly signal: AbortSignal;
  /** Told of each failed refresh; the loop goes on. */
  readonly onError: (error: unknown) => void;
}

/** Refreshes, waits, and so on until the signal; resolves when the last refresh has ended. Never two at once. */
export async function keepFresh(
  refresh: () => Promise<void>,
  { everyMs, clock, signal, onError }: RefreshLoop,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await refresh();
    } catch (error) {
      onError(error);
    }
    await clock.sleep(everyMs, signal);
  }
}
