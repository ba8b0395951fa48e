import { expect, test } from '@jest/globals';
import type { RoleName } from '../kernel/roles.js';
import { checkBus, createBusTopology, drainBus, rewindBus } from './bus.js';
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
  expect(bad.text()).toContain('1 of 2 settings differ');
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

test('a bus is drained when several looks in a row find nothing, and then it is noted', async () => {
  const out = outputForTest();
  const answers = [3, 0, 0, 2, 0, 0, 0, 0, 0];
  let noted = 0;
  const code = await drainBus({
    bus: { lag: async (_role: RoleName) => ({ waiting: answers.shift() ?? 99, oldestPublishedAtMs: null }) },
    roles: ['archive'],
    clock: { sleep: async () => undefined },
    signal: new AbortController().signal,
    out,
    noteDrained: async () => void (noted += 1),
  });
  expect([code, noted, answers.length]).toEqual([0, 1, 0]);
  expect(out.text()).toContain('Waiting: archive 3');
});
