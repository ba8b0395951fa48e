import { expect, test } from '@jest/globals';
import type { Clock } from '../kernel/clock.js';
import { OutageError } from '../kernel/errors.js';
import { tellingOutages } from './outage-log.js';
import type { Logger } from './port.js';

/** A clock whose sleeper is woken by the test. */
function steppedClock(): Clock & { pass(ms: number): Promise<void> } {
  let nowMs = 0;
  let wake: () => void = () => undefined;
  return {
    now: () => nowMs,
    monotonicMs: () => nowMs,
    sleep: () => new Promise((resolve) => (wake = resolve)),
    pass: async (ms) => {
      nowMs += ms;
      wake();
      await Promise.resolve().then(() => undefined);
    },
  };
}

function prepare() {
  const lines: string[] = [];
  const tell =
    (level: string) =>
    (fields: object, message: string): void => {
      const { seconds, times } = fields as { seconds?: number; times?: number };
      lines.push(
        `${level} ${message}${times === undefined ? '' : ` (${String(seconds)} s, ${String(times)})`}`,
      );
    };
  const logger: Logger = {
    debug: tell('debug'),
    info: tell('info'),
    warn: tell('warn'),
    error: tell('error'),
  };
  const clock = steppedClock();
  const stop = new AbortController();
  return { lines, clock, stop, log: tellingOutages(logger, clock, stop.signal) };
}

const away = (what = 'PostgreSQL'): OutageError => new OutageError(what, new Error('connect ECONNREFUSED'));

test('an outage of minutes that many loops meet is a line when it begins, one each half minute, and one when it is over', async () => {
  const { lines, clock, log } = prepare();
  for (let second = 0; second < 95; second += 1) {
    log.warn({ err: away() }, 'a role cannot read');
    log.error({ err: new Error('a batch', { cause: away() }) }, 'views could not be compared');
    await clock.pass(1_000);
  }
  for (let second = 0; second < 25; second += 1) await clock.pass(1_000);
  expect(lines).toEqual([
    'warn a role cannot read',
    'warn still: a role cannot read (30 s, 61)',
    'warn still: a role cannot read (60 s, 121)',
    'warn still: a role cannot read (90 s, 181)',
    'info over: PostgreSQL cannot be used at the moment (94 s, 190)',
  ]);
  log.warn({ err: away() }, 'a role cannot read');
  expect(lines.at(-1)).toBe('warn a role cannot read');
});

test('another dependency, and what is no outage, is told as ever', () => {
  const { lines, log } = prepare();
  log.warn({ err: away() }, 'one');
  log.warn({ err: away('Redis') }, 'two');
  log.error({ err: new TypeError('a fault of ours') }, 'three');
  log.error({ err: new TypeError('a fault of ours') }, 'three');
  log.warn({}, 'four');
  expect(lines).toEqual(['warn one', 'warn two', 'error three', 'error three', 'warn four']);
});

test('a single failure is one line, and nothing is told of an outage that the process does not outlive', async () => {
  const { lines, clock, stop, log } = prepare();
  log.warn({ err: away() }, 'once');
  for (let second = 0; second < 25; second += 1) await clock.pass(1_000);
  expect(lines).toEqual(['warn once']);
  log.warn({ err: away() }, 'again');
  log.warn({ err: away() }, 'again');
  stop.abort();
  await clock.pass(60_000);
  expect(lines).toEqual(['warn once', 'warn again']);
});
