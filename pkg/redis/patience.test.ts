import { expect, test } from '@jest/globals';
import { OutageError } from '../kernel/errors.js';
import { Patience } from './patience.js';

/** Time passes only when the test says so. */
function handMadeClock(): {
  monotonicMs(): number;
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  pass(ms: number): Promise<void>;
} {
  let nowMs = 0;
  const sleepers = new Set<{ readonly untilMs: number; readonly wake: () => void }>();
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  };
  return {
    monotonicMs: () => nowMs,
    sleep: (ms, signal) =>
      new Promise((wake) => {
        sleepers.add({ untilMs: nowMs + ms, wake });
        signal?.addEventListener('abort', () => wake(), { once: true });
      }),
    async pass(ms) {
      await settle();
      nowMs += ms;
      for (const sleeper of sleepers) if (sleeper.untilMs <= nowMs) sleeper.wake();
      await settle();
    },
  };
}

function question(): { readonly asked: Promise<string>; answer(): void } {
  let answer = (): void => undefined;
  const asked = new Promise<string>((resolve) => (answer = () => resolve('yes')));
  return { asked, answer: () => answer() };
}

test('row 39: a server that says nothing is away as soon as the patience has passed, for all who wait', async () => {
  const clock = handMadeClock();
  const patience = new Patience(900, clock);
  const told: unknown[] = [];
  for (const { asked } of [question(), question()])
    void patience.hear(asked).catch((error: unknown) => void told.push(error));
  await clock.pass(899);
  expect(told).toEqual([]);
  await clock.pass(1);
  expect(told).toEqual([expect.any(OutageError), expect.any(OutageError)]);
});

test('row 39: one that is slow is waited for as long as it answers others', async () => {
  const clock = handMadeClock();
  const patience = new Patience(900, clock);
  const all = Array.from({ length: 8 }, question);
  const heard = all.map(({ asked }) => patience.hear(asked).catch(() => 'away'));
  for (const { answer } of all) {
    await clock.pass(800);
    answer();
  }
  expect(await Promise.all(heard)).toEqual(all.map(() => 'yes'));
  // Heard just now, and silent from then on.
  let last = '';
  void patience.hear(question().asked).catch(() => (last = 'away'));
  await clock.pass(900);
  expect(last).toBe('away');
});

test('an answer that came while the process itself stood still is heard', async () => {
  const clock = handMadeClock();
  const patience = new Patience(900, clock);
  const asked = new Promise<string>((resolve) => {
    // It waits in the socket, and is read in the turn after the timers'.
    void clock.sleep(5_000).then(() => setImmediate(() => resolve('yes')));
  });
  const heard = patience.hear(asked).catch(() => 'away');
  await clock.pass(5_000);
  expect(await heard).toBe('yes');
});
