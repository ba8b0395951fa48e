import { expect, test } from '@jest/globals';
import { testBoard } from '../leaderboard/fixtures.js';
import { boundedReader } from './bounded-reader.js';

test('a crowd of readers is served a few at a time, and those beyond the queue are told to come back', async () => {
  let running = 0;
  let most = 0;
  const releases: (() => void)[] = [];
  const reader = boundedReader({
    cycle: () => Promise.resolve(null),
    read: async () => {
      running += 1;
      most = Math.max(most, running);
      await new Promise<void>((resolve) => releases.push(resolve));
      running -= 1;
      return { total: 0, entries: [] };
    },
  });
  const key = { gameId: 'g', board: 'xp', cycle: 'all-time:all', partition: '' };
  const question = { kind: 'top', limit: 1, after: null } as const;
  let settled = 0;
  const answers = Array.from({ length: 200 }, () =>
    reader
      .read(key, testBoard(), 'live', question)
      .then(
        () => 'served',
        (error: unknown) => (error as { code: string }).code,
      )
      .finally(() => (settled += 1)),
  );
  while (settled < answers.length) {
    releases.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const told = await Promise.all(answers);
  expect(most).toBe(3);
  const refused = told.filter((answer) => answer === 'dependency_unavailable').length;
  expect(refused).toBeGreaterThan(90);
  expect(told.filter((answer) => answer === 'served').length).toBe(200 - refused);
});
