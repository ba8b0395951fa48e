import { systemClock } from '../kernel/clock.js';

const EVERY_MS = 5_000;

/** Whether it is time for another line of progress, where no person looks at a bar that moves: every five seconds, so that what is quick is not told. */
export function nowAndThen(monotonicMs: () => number = () => systemClock.monotonicMs()): () => boolean {
  let dueAtMs = monotonicMs() + EVERY_MS;
  return () => {
    if (monotonicMs() < dueAtMs) return false;
    dueAtMs = monotonicMs() + EVERY_MS;
    return true;
  };
}
