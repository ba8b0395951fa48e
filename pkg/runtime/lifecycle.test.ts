import { EventEmitter } from 'node:events';
import { expect, test } from '@jest/globals';
import type { Clock } from '../kernel/clock.js';
import { quietLogger } from '../testkit/quiet.js';
import { createLifecycle, type Lifecycle } from './lifecycle.js';

/** Sleeps end only when the test says so, or by their signal. */
class HandClock implements Clock {
  readonly #sleepers: { ms: number; wake: () => void }[] = [];
  now = (): number => 0;
  atMs = 0;
  monotonicMs = (): number => this.atMs;
  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      this.#sleepers.push({ ms, wake: resolve });
      signal?.addEventListener('abort', () => resolve(), { once: true });
    });
  }
  wake(ms: number): void {
    for (const sleeper of this.#sleepers) if (sleeper.ms === ms) sleeper.wake();
  }
}

const STEP_MS = 10;
const DEADLINE_MS = 1_000;
const FAILED_DEADLINE_MS = 500;

function testProcess(isSupervised = false): {
  lifecycle: Lifecycle;
  clock: HandClock;
  signals: EventEmitter;
  exited: Promise<number>;
} {
  const clock = new HandClock();
  const signals = new EventEmitter();
  let exit: (code: number) => void = () => undefined;
  const exited = new Promise<number>((resolve) => (exit = resolve));
  const hooks = {
    on: (event: string, listener: (value: unknown) => void) => signals.on(event, listener),
    off: (event: string, listener: (value: unknown) => void) => signals.off(event, listener),
    exit,
  };
  const options = {
    clock,
    logger: quietLogger,
    process: hooks,
    stepTimeoutMs: STEP_MS,
    deadlineMs: DEADLINE_MS,
    failedDeadlineMs: FAILED_DEADLINE_MS,
    isSupervised,
  };
  return { lifecycle: createLifecycle(options), clock, signals, exited };
}

/** A promise and the hand that settles it. */
function gate(): { opened: Promise<void>; open: () => void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}

test('row 75: SIGTERM releases everything in reverse order and exits with 0', async () => {
  const { lifecycle, signals, exited } = testProcess();
  const released: string[] = [];
  await lifecycle.run(async () => {
    for (const name of ['database', 'bus', 'listener'])
      lifecycle.onStop(name, () => void released.push(name));
    await Promise.resolve();
  });
  signals.emit('SIGTERM');
  expect(await exited).toBe(0);
  expect(released).toEqual(['listener', 'bus', 'database']);
});

test('a start that fails releases what it had created and exits with 1', async () => {
  const { lifecycle, exited } = testProcess();
  const released: string[] = [];
  await lifecycle.run(async () => {
    lifecycle.onStop('database', () => void released.push('database'));
    await Promise.reject(new Error('the port is taken'));
  });
  expect(await exited).toBe(1);
  expect(released).toEqual(['database']);
});

test('a signal during the start waits for it, so that what it creates is released too', async () => {
  const { lifecycle, signals, exited } = testProcess();
  const connected = gate();
  const released: string[] = [];
  const running = lifecycle.run(async () => {
    await connected.opened;
    lifecycle.onStop('late', () => void released.push('late'));
  });
  signals.emit('SIGINT');
  expect(lifecycle.stopping.aborted).toBe(true);
  connected.open();
  await running;
  expect(await exited).toBe(0);
  expect(released).toEqual(['late']);
});

test('a start that rejects because the stop interrupted it is no failure', async () => {
  const { lifecycle, signals, exited } = testProcess();
  const waiting = gate();
  const running = lifecycle.run(async () => {
    await waiting.opened;
    lifecycle.stopping.throwIfAborted();
  });
  signals.emit('SIGTERM');
  waiting.open();
  await running;
  expect(await exited).toBe(0);
});

test('a release that fails does not keep the others from being released; the exit code tells of it', async () => {
  const { lifecycle, signals, exited } = testProcess();
  const released: string[] = [];
  await lifecycle.run(async () => {
    lifecycle.onStop('first', () => void released.push('first'));
    lifecycle.onStop('second', () => Promise.reject(new Error('no')));
    await Promise.resolve();
  });
  signals.emit('SIGTERM');
  expect(await exited).toBe(1);
  expect(released).toEqual(['first']);
});

test('a release that hangs is left behind after its time', async () => {
  const { lifecycle, clock, signals, exited } = testProcess();
  const released: string[] = [];
  const hanging = gate();
  await lifecycle.run(async () => {
    lifecycle.onStop('first', () => void released.push('first'));
    lifecycle.onStop('stuck', () => {
      hanging.open();
      return new Promise(() => undefined);
    });
    await Promise.resolve();
  });
  signals.emit('SIGTERM');
  await hanging.opened;
  clock.wake(STEP_MS);
  expect(await exited).toBe(1);
  expect(released).toEqual(['first']);
});

test('signals that come together are one wish: the stop goes on to its end', async () => {
  const { lifecycle, signals, exited } = testProcess();
  const draining = gate();
  await lifecycle.run(() => {
    lifecycle.onStop('listener', () => draining.opened);
    return Promise.resolve();
  });
  signals.emit('SIGTERM');
  signals.emit('SIGTERM');
  draining.open();
  expect(await exited).toBe(0);
});

test('a second signal a moment later ends the process at once with 1', async () => {
  const { lifecycle, clock, signals, exited } = testProcess();
  await lifecycle.run(() => {
    lifecycle.onStop('stuck', () => new Promise(() => undefined));
    return Promise.resolve();
  });
  signals.emit('SIGTERM');
  clock.atMs = 1_000;
  signals.emit('SIGTERM');
  expect(await exited).toBe(1);
});

test('a second signal leaves a supervised process to finish: a terminal and its parent both told it to stop', async () => {
  const { lifecycle, signals, exited } = testProcess(true);
  const draining = gate();
  const released: string[] = [];
  await lifecycle.run(() => {
    lifecycle.onStop('database', () => void released.push('database'));
    lifecycle.onStop('listener', () => draining.opened);
    return Promise.resolve();
  });
  signals.emit('SIGINT');
  signals.emit('SIGTERM');
  draining.open();
  expect(await exited).toBe(0);
  expect(released).toEqual(['database']);
});

test('the deadline ends the process with 1 even when the start never comes back', async () => {
  const { lifecycle, clock, signals, exited } = testProcess();
  void lifecycle.run(() => new Promise(() => undefined));
  signals.emit('SIGTERM');
  clock.wake(DEADLINE_MS);
  expect(await exited).toBe(1);
});

test('an exception that nobody caught is a failure: everything is released, the exit code is 1', async () => {
  const { lifecycle, signals, exited } = testProcess();
  const released: string[] = [];
  await lifecycle.run(() => {
    lifecycle.onStop('database', () => void released.push('database'));
    return Promise.resolve();
  });
  signals.emit('uncaughtException', new Error('a bug'));
  expect(await exited).toBe(1);
  expect(released).toEqual(['database']);
});

test('being told twice to stop releases once', async () => {
  const { lifecycle, exited } = testProcess();
  let count = 0;
  await lifecycle.run(() => {
    lifecycle.onStop('database', () => void (count += 1));
    return Promise.resolve();
  });
  lifecycle.stop('done');
  lifecycle.stop('done again');
  expect(await exited).toBe(0);
  expect(count).toBe(1);
});

test('a failure is told apart from a wish to stop and from a start that fails, and has less time', async () => {
  const [failing, told, unstarted] = [testProcess(), testProcess(), testProcess()];
  for (const { lifecycle } of [failing, told])
    await lifecycle.run(async () => lifecycle.onStop('stuck', () => new Promise(() => undefined)));
  await unstarted.lifecycle.run(() => Promise.reject(new Error('the port is taken')));
  failing.signals.emit('unhandledRejection', new Error('a bug'));
  told.signals.emit('SIGTERM');
  told.signals.emit('uncaughtException', new Error('a bug of the stop'));
  const failed = [failing, told, unstarted].map(({ lifecycle }) => lifecycle.hasFailed);
  expect(failed).toEqual([true, false, false]);
  failing.clock.wake(FAILED_DEADLINE_MS);
  expect(await failing.exited).toBe(1);
});
