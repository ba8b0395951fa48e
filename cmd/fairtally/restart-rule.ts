import { EXIT_CONFIG } from '../run-main.js';

/** How a process of the all-in-one ended. */
export interface Ending {
  readonly code: number | null;
  readonly signal: string | null;
  /** Whether it ever said that it was ready, in this life or an earlier one. */
  readonly wasReady: boolean;
  readonly livedMs: number;
  /** Restarts in a row before this one, without a stable life in between. */
  readonly restarts: number;
}

/** null: it is not started again. */
export type Restart = { readonly restarts: number; readonly afterMs: number } | null;

/**
 * A message that ends its worker ends it twice in a batch and three times alone before it is a dead letter (pkg/worker/
 * crash-guard), and six of them in one batch twenty times: the processes are kept up for longer than that.
 */
export const RESTARTS_MAX = 25;
const FIRST_DELAY_MS = 250;
const LAST_DELAY_MS = 2_000;
const STABLE_AFTER_MS = 60_000;

/** Whether and when a process that ended is started again: a crash is, a start that failed for its own reasons is not. */
export function restartAfter({ code, signal, wasReady, livedMs, restarts }: Ending): Restart {
  if (code === EXIT_CONFIG) return null;
  // What exits before it was ever ready (a port that is taken, say) would the next time too. What is killed by a signal
  // did not choose to: the message that ends a worker may wait for it at its start.
  if (!wasReady && signal === null) return null;
  const next = livedMs > STABLE_AFTER_MS ? 1 : restarts + 1;
  if (next > RESTARTS_MAX) return null;
  return { restarts: next, afterMs: Math.min(LAST_DELAY_MS, FIRST_DELAY_MS * 2 ** (next - 1)) };
}
