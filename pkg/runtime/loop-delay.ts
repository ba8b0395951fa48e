import { monitorEventLoopDelay } from 'node:perf_hooks';

/** How late the event loop turns, and so how long whatever is ready waits for its turn. */
export interface LoopDelay {
  /** The median since the last call, ms; null when the loop did not turn in between. */
  take(): number | null;
  close(): void;
}

const RESOLUTION_MS = 10;
const NS_PER_MS = 1e6;

/**
 * The delay says how long work stands in line; the utilisation of the loop does not: it is 1 at the very rate that can be
 * sustained and stays 1 at three times that rate. The median, because a single long turn (a collection of garbage, one huge
 * batch) is worked off by those after it: only when most turns are long the line stands. Node's histogram tells the distance
 * between looks, which without any delay is its resolution.
 */
export function watchLoopDelay(): LoopDelay {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  histogram.enable();
  return {
    take: () => {
      if (histogram.count === 0) return null;
      const medianMs = histogram.percentile(50) / NS_PER_MS;
      histogram.reset();
      return Math.max(0, medianMs - RESOLUTION_MS);
    },
    close: () => void histogram.disable(),
  };
}
