import { expect, test } from '@jest/globals';
import { systemClock, type Clock } from '../kernel/clock.js';
import { OutageError } from '../kernel/errors.js';
import { eventually } from '../testkit/eventually.js';
import { quietLogger } from '../testkit/quiet.js';
import { fromWire } from './sqs-message.js';
import { keepHidden, type KeepHiddenOptions } from './sqs-visibility.js';

const HOUR_MS = 3_600_000;

/** Passes all time that it is asked to sleep at once, and remembers it. */
class HastyClock implements Clock {
  readonly slept: number[] = [];
  private atMs = 0;
  now = (): number => this.atMs;
  monotonicMs = (): number => this.atMs;
  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    await systemClock.sleep(1, signal);
    if (signal?.aborted === true) return;
    this.slept.push(ms);
    this.atMs += ms;
  }
}

const messages = [fromWire({ ReceiptHandle: 'a' }), fromWire({ ReceiptHandle: 'b' })];

function hold(
  clock: Clock,
  hide: KeepHiddenOptions['queue']['hide'],
  more: Partial<KeepHiddenOptions> = {},
): ReturnType<typeof keepHidden> {
  return keepHidden(messages, {
    queue: { hide },
    role: 'archive',
    clock,
    logger: quietLogger,
    visibilitySeconds: 30,
    onTooLong: () => undefined,
    ...more,
  });
}

test('messages in hand are hidden again whenever half of their time is over', async () => {
  const clock = new HastyClock();
  const hidden: unknown[] = [];
  const keeper = hold(clock, async (held, seconds) => {
    hidden.push([held.length, seconds]);
    return [];
  });
  await eventually('it was done three times', () => hidden.length >= 3);
  await keeper.stop();
  expect(hidden.slice(0, 3)).toEqual([
    [2, 30],
    [2, 30],
    [2, 30],
  ]);
  expect(new Set(clock.slept)).toEqual(new Set([15_000]));
});

test('an extension that fails is tried again well within the time that is left', async () => {
  const clock = new HastyClock();
  let calls = 0;
  const keeper = hold(clock, async () => {
    calls += 1;
    if (calls < 3) throw new OutageError('SQS');
    return [];
  });
  await eventually('it was tried again', () => calls >= 4);
  await keeper.stop();
  expect(clock.slept.slice(0, 4)).toEqual([15_000, 3_000, 3_000, 15_000]);
});

test('after the stop nothing is extended any more: an extension under way is waited for', async () => {
  let open = (): void => undefined;
  const gate = new Promise<void>((resolve) => (open = resolve));
  let calls = 0;
  const keeper = hold(new HastyClock(), async () => {
    calls += 1;
    await gate;
    return [];
  });
  await eventually('an extension is under way', () => calls === 1);
  let isStopped = false;
  const stopped = keeper.stop().then(() => (isStopped = true));
  await new Promise((resolve) => setImmediate(resolve));
  expect(isStopped).toBe(false);
  open();
  await stopped;
  expect(calls).toBe(1);
});

test('what is in hand for eleven hours is to be given back, before SQS takes it away after twelve', async () => {
  const clock = new HastyClock();
  let isTooLong = false;
  const keeper = hold(clock, async () => [], {
    visibilitySeconds: 3_600,
    onTooLong: () => void (isTooLong = true),
  });
  await eventually('the time is over', () => isTooLong);
  expect(clock.monotonicMs()).toBeGreaterThanOrEqual(11 * HOUR_MS);
  expect(clock.monotonicMs()).toBeLessThan(12 * HOUR_MS);
  await keeper.stop();
});
