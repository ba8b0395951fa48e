import { setImmediate } from 'node:timers/promises';

/** Work in pieces of some milliseconds: between two of them, whoever drives it may let others have their turn. */
export type Turns<T> = Generator<undefined, T, undefined>;

/** For those who have nothing else to do meanwhile. */
export function atOnce<T>(work: Turns<T>): T {
  for (;;) {
    const { done, value } = work.next();
    if (done === true) return value;
  }
}

/** Between two pieces the event loop does what else there is. */
export async function inTurns<T>(work: Turns<T>): Promise<T> {
  for (;;) {
    const { done, value } = work.next();
    if (done === true) return value;
    await setImmediate();
  }
}
