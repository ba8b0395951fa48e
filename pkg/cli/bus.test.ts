import { expect, test } from '@jest/globals';
import type { Lag } from '../bus/port.js';
import { FairtallyError, OutageError } from '../kernel/errors.js';
import { checkBus, collectFromBus, createBusTopology, drainBus, rewindBus, type DrainDeps } from './bus.js';
import { outputForTest } from './fixtures.js';

const right = {
  resource: 'topic game-events',
  setting: 'exists',
  expected: 'yes',
  found: 'yes',
  isRight: true,
};
const wrong = {
  resource: 'topic game-events',
  setting: 'partitions',
  expected: '32',
  found: null,
  isRight: false,
};

test('a bus that is right ends with 0, one that differs with 1 and what to do', async () => {
  const good = outputForTest();
  expect(await checkBus({ check: async () => [right] }, good)).toBe(0);
  expect(good.text()).toContain('as it should be');
  const bad = outputForTest();
  expect(await checkBus({ check: async () => [right, wrong] }, bad)).toBe(1);
  expect(bad.text()).toMatch(/partitions.*32.*none.*DIFFERS/);
  expect(bad.text()).toContain('Settings that differ: 1 of 2.');
});

test('what the rights do not allow is printed as what an operator must do', async () => {
  const out = outputForTest();
  const create = async () => [
    { resource: 'topic a', result: 'made' as const },
    { resource: 'topic b', result: 'denied' as const, byHand: 'make-topic b' },
  ];
  expect(await createBusTopology({ create }, out)).toBe(1);
  expect(out.text()).toContain('topic b: make-topic b');
});

test('a bus that forgets what was read says what else there is', async () => {
  const out = outputForTest();
  await expect(rewindBus({ toMs: 0, roles: ['archive'] }, {}, out)).rejects.toMatchObject({
    code: 'no_rewind',
  });
});

/** A drain of one role, whose lags are given one after the other; beyond them nothing waits. */
function drain(lags: readonly Partial<Lag>[], more: Partial<DrainDeps> = {}) {
  const out = outputForTest();
  const left = [...lags];
  const deps: DrainDeps = {
    bus: { lag: async () => ({ waiting: 0, oldestPublishedAtMs: null, ...left.shift() }) },
    publishers: async () => 0,
    roles: ['archive'],
    clock: { sleep: async () => undefined },
    signal: new AbortController().signal,
    out,
    noteDrained: async () => undefined,
    ...more,
  };
  return { out, left, code: drainBus(deps) };
}

test('a bus is drained when several looks in a row find nothing, and then it is noted', async () => {
  let noted = 0;
  const lags = [3, 0, 0, 2, 0, 0, 0, 0, 0].map((waiting) => ({ waiting }));
  const { out, left, code } = drain(lags, { noteDrained: async () => void (noted += 1) });
  expect([await code, noted, left.length]).toEqual([0, 1, 0]);
  expect(out.text()).toContain('Waiting: archive 3');
});

test('a bus is not drained while a gateway publishes to it, or what the broker gave up lies there', async () => {
  const publishers = [1, 1];
  const { out, left, code } = drain([{}, {}, { brokerDead: 4 }, { brokerDead: null }], {
    publishers: async () => publishers.shift() ?? 0,
  });
  expect([await code, left.length]).toEqual([0, 0]);
  expect(out.text()).toContain('1 gateway still publishing to it (to be stopped)');
  expect(out.text()).toContain('archive 4 that the broker gave up (`fairtally bus collect`)');
});

test('a gateway that begins to publish after the last look is waited for', async () => {
  let tries = 0;
  const { code } = drain([], {
    noteDrained: async () => {
      tries += 1;
      if (tries === 1) throw new FairtallyError('bus_published', 'a gateway publishes');
    },
  });
  expect([await code, tries]).toEqual([0, 2]);
  await expect(
    drain([], { noteDrained: () => Promise.reject(new OutageError('PostgreSQL')) }).code,
  ).rejects.toThrow(OutageError);
});

test('what the broker gave up is brought in role by role, and a bus that gives nothing up says so', async () => {
  const out = outputForTest();
  const sink = { put: async () => undefined };
  const collect = async () => [{ role: 'archive' as const, messages: 2 }];
  expect(await collectFromBus({ sink, roles: ['archive'] }, { collect }, out)).toBe(0);
  expect(out.text()).toContain('fairtally dead list');
  await expect(collectFromBus({ sink, roles: ['archive'] }, {}, out)).rejects.toMatchObject({
    code: 'nothing_to_collect',
  });
});
