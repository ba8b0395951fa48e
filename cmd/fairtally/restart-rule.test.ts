import { expect, test } from '@jest/globals';
import { CRASHES_MAX, SUSPECT_AFTER } from '../../pkg/worker/crash-guard/rules.js';
import { EXIT_CONFIG } from '../run-main.js';
import { restartAfter, RESTARTS_MAX, type Ending } from './restart-rule.js';

const crash: Ending = { code: null, signal: 'SIGABRT', wasReady: true, livedMs: 500, restarts: 0 };

/** The pauses before each new life of a process that always ends like this. */
function pausesOf(ending: Ending): number[] {
  const pauses: number[] = [];
  let { restarts } = ending;
  for (;;) {
    const next = restartAfter({ ...ending, restarts });
    if (next === null || pauses.length > 100) return pauses;
    pauses.push(next.afterMs);
    restarts = next.restarts;
  }
}

test.each([true, false])(
  'row 36: a worker that crashes is kept up until the message is found (it was ready: %s), slower each time',
  (wasReady) => {
    const pauses = pausesOf({ ...crash, wasReady });
    expect(pauses.slice(0, 6)).toEqual([250, 500, 1_000, 2_000, 2_000, 2_000]);
    expect(Math.max(...pauses)).toBe(2_000);
    expect(pauses).toHaveLength(RESTARTS_MAX);
    const crashesOf = (messages: number): number => SUSPECT_AFTER + CRASHES_MAX * messages;
    expect(pauses.length).toBeGreaterThanOrEqual(crashesOf(6));
  },
);

test('a wrong configuration and a start that failed are not tried again', () => {
  expect(pausesOf({ ...crash, code: EXIT_CONFIG, signal: null })).toEqual([]);
  expect(pausesOf({ ...crash, code: 1, signal: null, wasReady: false })).toEqual([]);
  expect(pausesOf({ ...crash, code: 1, signal: null })).toHaveLength(RESTARTS_MAX);
});

test('a life that was long enough begins the count again', () => {
  expect(restartAfter({ ...crash, livedMs: 60_001, restarts: RESTARTS_MAX })).toEqual({
    restarts: 1,
    afterMs: 250,
  });
  expect(restartAfter({ ...crash, livedMs: 60_000, restarts: RESTARTS_MAX })).toBeNull();
});
