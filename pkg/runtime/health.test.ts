import { expect, test } from '@jest/globals';
import { systemClock, type Clock } from '../kernel/clock.js';
import { createHealth } from './health.js';

const fine = (): Promise<void> => Promise.resolve();
const broken = (): Promise<void> => Promise.reject(new Error('down'));

test('a process is ready when it has started and every check passes', async () => {
  const health = createHealth(systemClock);
  health.addCheck('database', fine);
  expect(await health.readiness()).toMatchObject({ ready: false, state: 'starting' });
  health.started();
  expect(await health.readiness()).toEqual({ ready: true, state: 'ready', checks: { database: 'ok' } });
});

test('one failing check makes it unready and is named', async () => {
  const health = createHealth(systemClock);
  health.addCheck('database', fine);
  health.addCheck('bus', broken);
  health.started();
  expect(await health.readiness()).toEqual({
    ready: false,
    state: 'unready',
    checks: { database: 'ok', bus: 'failed' },
  });
});

test('a check that hangs counts as failed after its time', async () => {
  const impatient: Clock = { ...systemClock, sleep: () => Promise.resolve() };
  const health = createHealth(impatient);
  health.addCheck('database', () => new Promise(() => undefined));
  health.started();
  expect(await health.readiness()).toMatchObject({ ready: false, checks: { database: 'timeout' } });
});

test('row 75: draining is not ready, whatever the checks say', async () => {
  const health = createHealth(systemClock);
  health.addCheck('database', fine);
  health.started();
  health.drain();
  health.started();
  expect(await health.readiness()).toMatchObject({ ready: false, state: 'draining' });
});

test('callers at the same time share one run of the checks', async () => {
  const health = createHealth(systemClock);
  let runs = 0;
  health.addCheck('database', () => Promise.resolve(void (runs += 1)));
  await Promise.all([health.readiness(), health.readiness(), health.readiness()]);
  expect(runs).toBe(1);
});
