import { expect, test } from '@jest/globals';
import type { BusMessage } from '../bus/port.js';
import { createMetrics } from '../runtime/metrics.js';
import { quietLogger } from '../testkit/quiet.js';
import { Latest } from './latest.js';
import type { LoadSignals } from './load-rule.js';
import { LoadWatch } from './load-watch.js';
import { PublishWait } from './publish-wait.js';

const LIMITS = { maxLoopDelayMs: 100, maxUnappliedMs: 100, minFreeDiskBytes: 100 };

test('the gate shuts at a look, opens at a later one, and both are told and counted once', async () => {
  const told: string[] = [];
  const metrics = createMetrics({ processMetrics: false });
  let signals: LoadSignals = { loopDelayMs: 1, unappliedMs: null, freeDiskBytes: 1_000 };
  const watch = new LoadWatch({
    signals: () => signals,
    limits: LIMITS,
    publishWait: { oldestMs: () => 250 },
    metrics,
    logger: {
      ...quietLogger,
      warn: (fields, text) => told.push(`${text}: ${(fields as { reason: string }).reason}`),
      info: (_fields, text) => told.push(text),
    },
  });
  watch.look();
  expect(watch.overload).toBeNull();
  signals = { ...signals, loopDelayMs: 101, freeDiskBytes: 99 };
  expect(watch.overload).toBeNull();
  watch.look();
  watch.look();
  expect(watch.overload).toBe('disk');
  expect(watch.overloads).toEqual(['disk', 'event_loop']);
  signals = { ...signals, freeDiskBytes: 200 };
  watch.look();
  expect(watch.overload).toBe('event_loop');
  signals = { ...signals, loopDelayMs: 2 };
  watch.look();
  expect(watch.overload).toBeNull();
  expect(told).toEqual([
    'a limit is passed: new events are shed: disk',
    'a limit is passed: new events are shed: event_loop',
    'new events are taken again',
  ]);
  const text = await metrics.render();
  expect(text).toContain('fairtally_overload_total{reason="disk"} 1');
  expect(text).toContain('fairtally_publish_wait_seconds 0.25');
  expect(text).toContain('fairtally_free_disk_bytes 200');
  expect(text).toContain('fairtally_event_loop_delay_seconds 0.002');
  expect(text).toMatch(/fairtally_oldest_unapplied_seconds nan/i);
});

test('a reading is good for its time and then not known, until the next one', () => {
  let nowMs = 1_000;
  const latest = new Latest({ monotonicMs: () => nowMs }, 100);
  expect(latest.get()).toBeNull();
  latest.set(0);
  nowMs += 99;
  expect(latest.get()).toBe(0);
  nowMs += 1;
  expect(latest.get()).toBeNull();
  latest.set(7);
  expect(latest.get()).toBe(7);
});

test('the wait for the bus is that of the oldest call under way, whatever became of the others', async () => {
  let nowMs = 0;
  const ends: ((error?: Error) => void)[] = [];
  const bus = {
    publish: (_messages: readonly BusMessage[]): Promise<void> =>
      new Promise((resolve, reject) => {
        ends.push((error) => (error === undefined ? resolve() : reject(error)));
      }),
  };
  const wait = new PublishWait({ monotonicMs: () => nowMs });
  const watched = wait.around(bus);
  expect(wait.oldestMs()).toBe(0);
  const calls = [0, 10, 20].map((atMs) => {
    nowMs = atMs;
    return watched.publish([]);
  });
  nowMs = 100;
  expect(wait.oldestMs()).toBe(100);
  ends[0]?.(new Error('away'));
  await expect(calls[0]).rejects.toThrow('away');
  expect(wait.oldestMs()).toBe(90);
  ends[2]?.();
  await calls[2];
  expect(wait.oldestMs()).toBe(90);
  ends[1]?.();
  await calls[1];
  expect(wait.oldestMs()).toBe(0);
});
