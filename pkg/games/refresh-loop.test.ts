import { expect, test } from '@jest/globals';
import { keepFresh } from './refresh-loop.js';

test('refreshes until it is stopped, waits between, and tells each failure', async () => {
  const stop = new AbortController();
  const waits: number[] = [];
  const errors: unknown[] = [];
  let refreshes = 0;
  const failure = new Error('the second one fails');
  await keepFresh(
    () => {
      refreshes += 1;
      return refreshes === 2 ? Promise.reject(failure) : Promise.resolve();
    },
    {
      everyMs: 1000,
      signal: stop.signal,
      onError: (error) => errors.push(error),
      clock: {
        sleep: (ms) => {
          waits.push(ms);
          if (waits.length === 3) stop.abort();
          return Promise.resolve();
        },
      },
    },
  );
  expect([refreshes, waits, errors]).toEqual([3, [1000, 1000, 1000], [failure]]);
});
