import type { Response } from 'express';
import type { Clock } from '../kernel/clock.js';
import { OutageError } from '../kernel/errors.js';

/** Who reads something and has heard nothing for so long is told to come again. */
export const READ_MAX_MS = 5_000;

export interface Reading {
  readonly response: Pick<Response, 'headersSent'>;
  readonly clock: Pick<Clock, 'monotonicMs' | 'sleep'>;
  /** When it was asked, in monotonic milliseconds. */
  readonly sinceMs: number;
}

/**
 * Bounds a read as a whole, wherever its time goes: in the queue for a connection, behind a lock, on a connection that went
 * silent, or in several of them one after the other. Each has limits of its own, and their sum is longer than anybody waits.
 * What the work finds after that is told to nobody, so it may only read. An answer that has begun is waited for.
 *
 * @throws OutageError when the answer has not begun in time, and what `work` throws before
 */
export async function answeredInTime<T>(work: Promise<T>, { response, clock, sinceMs }: Reading): Promise<T> {
  const done = new AbortController();
  const orLate = async (): Promise<T> => {
    await clock.sleep(Math.max(0, sinceMs + READ_MAX_MS - clock.monotonicMs()), done.signal);
    if (done.signal.aborted || response.headersSent) return work;
    throw new OutageError('What is asked', new Error(`it took longer than ${String(READ_MAX_MS)} ms`));
  };
  try {
    return await Promise.race([work, orLate()]);
  } finally {
    done.abort();
  }
}
