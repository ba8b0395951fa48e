import { expect, test } from '@jest/globals';
import { systemClock } from '../kernel/clock.js';
import { OutageError } from '../kernel/errors.js';
import { systemRandom } from '../kernel/random.js';
import { crashDemo } from './crash-demo.js';
import { outputForTest } from './fixtures.js';

const SECONDS = 0.0517; // no other sleep is as long

interface Sent {
  readonly id: string;
  readonly payload: { readonly deltaXp?: number; readonly rival?: boolean };
}

test('a run in which nothing was acknowledged under load proves nothing, and says so', async () => {
  const out = outputForTest();
  let isOver = false;
  const ended: string[] = [];
  const code = await crashDemo(SECONDS, {
    client: {
      prepare: () => {
        throw new Error('not used');
      },
      send: async (_method, _target, options) => {
        if (!isOver) throw new OutageError('the gateway');
        const events = (options?.body ?? '').split('\n').map((line) => JSON.parse(line) as Sent);
        ended.push(...events.map(({ id }) => id));
        const results = events.map(({ payload }) => {
          if (payload.rival === true) return { status: 'rejected', code: 'event_id_conflict' };
          if (payload.deltaXp === -1) return { status: 'rejected', code: 'invalid_payload' };
          return { status: 'accepted' };
        });
        return { status: 202, headers: {}, text: JSON.stringify({ results }) };
      },
      close: () => undefined,
    },
    kill: () => true,
    victims: ['worker'],
    found: async () => ({ effects: [], letters: [] }),
    unsettled: async () => 0,
    audit: async () => 0,
    clock: {
      ...systemClock,
      async sleep(ms, signal) {
        await systemClock.sleep(ms, signal);
        if (ms === SECONDS * 1000) setTimeout(() => (isOver = true), 0);
      },
    },
    random: systemRandom,
    out,
    signal: new AbortController().signal,
  });
  expect(ended.length).toBeGreaterThan(0);
  expect(code).toBe(1);
  expect(out.text()).toMatch(/Nothing was acknowledged under load: this run proves nothing/);
});
