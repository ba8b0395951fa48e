import { expect, test } from '@jest/globals';
import { nowAndThen } from './now-and-then.js';

test('it is due after five seconds, and then every five', () => {
  let nowMs = 0;
  const isDue = nowAndThen(() => nowMs);
  const seen = [0, 1, 4_999, 5_000, 5_001, 20_000, 20_001].map((atMs) => {
    nowMs = atMs;
    return isDue();
  });
  expect(seen).toEqual([false, false, false, true, false, true, false]);
});
