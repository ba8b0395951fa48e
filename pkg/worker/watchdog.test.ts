import { expect, test } from '@jest/globals';
import { DEFAULT_BACKOFF, DEFAULT_MAX_ATTEMPTS } from '../bus/deliver.js';
import { createMemoryBus } from '../bus/memory.js';
import type { BatchHandler, Bus } from '../bus/port.js';
import { systemClock } from '../kernel/clock.js';
import { OutageError } from '../kernel/errors.js';
import { ok } from '../kernel/outcome.js';
import { systemRandom } from '../kernel/random.js';
import type { Database } from '../postgres/port.js';
import type { Logger } from '../runtime/port.js';
import { eachOwnPlayer, gate, numbered } from '../testkit/bus-bench.js';
import { eventually } from '../testkit/eventually.js';
import { quietLogger, quietMetrics } from '../testkit/quiet.js';
import { SettableClock } from '../testkit/settable-clock.js';
import { Watchdog } from './watchdog.js';

const STUCK_MS = 10_000;

function memoryBus(): Bus {
  const deadLetters = { put: async () => undefined };
  return createMemoryBus({
    roles: ['progression'],
    maxAttempts: DEFAULT_MAX_ATTEMPTS,
    backoff: DEFAULT_BACKOFF,
    deadLetters,
    clock: systemClock,
    random: systemRandom,
    logger: quietLogger,
    batchMax: 1,
  });
}

/** A watchdog that looks when it is told, with what it said and did. */
function bench(bus: Bus, taken: () => Promise<string | null> = async () => null) {
  const clock = new SettableClock(0);
  const told: string[] = [];
  const failures: string[] = [];
  const tell =
    (level: string) =>
    (_: object, message: string): void =>
      void told.push(`${level}: ${message}`);
  const logger: Logger = {
    debug: tell('debug'),
    info: tell('info'),
    warn: tell('warn'),
    error: tell('error'),
  };
  const watchdog = new Watchdog({
    stuckMs: STUCK_MS,
    lookEveryMs: 1_000,
    lastTaken: taken,
    fail: (reason) => void failures.push(reason),
    clock,
    logger,
    metrics: quietMetrics,
  });
  return {
    watchdog,
    told,
    failures,
    isReady: (): boolean => {
      try {
        watchdog.check();
        return true;
      } catch {
        return false;
      }
    },
    /** So many seconds with a look in each. */
    pass: async (seconds: number): Promise<void> => {
      for (let n = 0; n < seconds; n += 1) {
        clock.advance(1_000);
        const lag = await bus.lag('progression').catch(() => null);
        await watchdog.look('progression', lag === null ? null : { waiting: lag.waiting, ageSeconds: 0 });
      }
    },
  };
}

test('row 48: a subscription that yields nothing more is told, makes the process unready, and then ends it', async () => {
  const bus = memoryBus();
  const { watchdog, told, failures, isReady, pass } = bench(bus);
  const role = watchdog.watch('progression');
  const { opened, open } = gate();
  // The client stops yielding after its first batch, as a consumer does that died without a word.
  let batches = 0;
  const silent: BatchHandler = async (batch) => {
    if ((batches += 1) > 1) await opened;
    return batch.map(() => ok);
  };
  const yields = role.handler(async (batch) => batch.map(() => ok));
  await bus.subscribe('progression', async (batch) =>
    batches < 1 ? (await silent(batch), yields(batch)) : silent(batch),
  );
  await pass(30);
  expect([told, isReady()]).toEqual([[], true]);
  await bus.publish(numbered(3, eachOwnPlayer));
  await eventually('one is settled', async () => (await bus.lag('progression')).waiting === 2);
  await pass(STUCK_MS / 1_000);
  expect(isReady()).toBe(true); // the first look saw the end of a call
  await pass(1);
  expect(isReady()).toBe(false);
  expect(told).toEqual([
    'error: a role makes no progress: this process is not ready, and ends in 10 s if nothing moves',
  ]);
  expect(failures).toEqual([]);
  await pass(STUCK_MS / 1_000);
  expect(failures).toEqual(['the role progression makes no progress: the process ends, to be started again']);
  await pass(5);
  expect(failures).toHaveLength(1);
  open();
  await bus.close();
});

test('row 48: a handler that hangs is told too, and when it goes on the process is ready again', async () => {
  const bus = memoryBus();
  const { watchdog, told, failures, isReady, pass } = bench(bus, async () => String(performance.now()));
  const { opened, open } = gate();
  let isInHand = false;
  const handler = watchdog.watch('progression').handler(async (batch) => {
    isInHand = true;
    await opened;
    return batch.map(() => ok);
  });
  await bus.subscribe('progression', handler);
  await bus.publish(numbered(1));
  await eventually('it is in hand', () => isInHand);
  await pass(STUCK_MS / 1_000 + 2);
  expect(isReady()).toBe(false);
  open();
  await eventually('it is settled', async () => (await bus.lag('progression')).waiting === 0);
  await pass(1);
  expect([isReady(), failures, told.at(-1)]).toEqual([true, [], 'info: the role moves again']);
  await bus.close();
});

test('a role that waits for a dependency is left alone', async () => {
  const bus = memoryBus();
  const { watchdog, told, failures, pass } = bench(bus);
  let outages = 0;
  const handler = watchdog.watch('progression').handler(async () => {
    outages += 1;
    throw new OutageError('PostgreSQL');
  });
  await bus.publish(numbered(1));
  for (let n = 0; n < 10; n += 1) {
    await expect(handler([])).rejects.toBeInstanceOf(OutageError);
    await pass(8);
  }
  expect([outages, told, failures]).toEqual([10, [], []]);
  await bus.close();
});

test('statements on their way and their ends are signs of life, inside a transaction too', async () => {
  const bus = memoryBus();
  const { watchdog, isReady, pass } = bench(bus);
  const role = watchdog.watch('progression');
  const { opened, open } = gate();
  const slow: Database = {
    query: () => opened.then(() => []),
    transaction: (work) => work({ query: () => opened.then(() => []) }),
    close: async () => undefined,
  };
  const db = role.database(slow);
  await bus.publish(numbered(1));
  const asked = db.transaction((sql) => sql.query('SELECT 1'));
  await pass(50);
  expect(isReady()).toBe(true);
  open();
  await asked;
  await pass(STUCK_MS / 1_000);
  await db.query('SELECT 1');
  await pass(STUCK_MS / 1_000);
  expect(isReady()).toBe(true);
  await pass(2);
  expect(isReady()).toBe(false);
  await bus.close();
});

test('what cannot be read is no verdict', async () => {
  const bus = memoryBus();
  const { watchdog, failures, isReady, pass } = bench(bus, () =>
    Promise.reject(new OutageError('PostgreSQL')),
  );
  watchdog.watch('progression');
  await bus.publish(numbered(1));
  await pass(50);
  expect([isReady(), failures]).toEqual([true, []]);
  await bus.close();
});
