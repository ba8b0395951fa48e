import { expect, test } from '@jest/globals';
import { SingleFlight } from './single-flight.js';

function cacheAt(entriesMax = 10) {
  let nowMs = 0;
  const clock = { now: () => nowMs, monotonicMs: () => nowMs, sleep: () => Promise.resolve() };
  let calls = 0;
  const fetch = (): Promise<number> => Promise.resolve((calls += 1));
  return {
    cache: new SingleFlight<number>({ clock, ttlMs: 1_000, entriesMax }),
    fetch,
    pass: (ms: number) => (nowMs += ms),
  };
}

test('all who ask at once get one answer, those within its freshness too', async () => {
  const { cache, fetch, pass } = cacheAt();
  expect(await Promise.all([cache.get('k', fetch), cache.get('k', fetch)])).toEqual([1, 1]);
  pass(999);
  expect(await cache.get('k', fetch)).toBe(1);
  pass(1);
  expect(await cache.get('k', fetch)).toBe(2);
});

test('a failure is told to all who wait and is not remembered', async () => {
  const { cache, fetch, pass } = cacheAt();
  await cache.get('k', fetch);
  pass(1_000);
  const fail = (): Promise<number> => Promise.reject(new Error('no'));
  const results = await Promise.allSettled([cache.get('k', fail), cache.get('k', fail)]);
  expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(cache.last('k')).toBe(1);
  expect(await cache.get('k', fetch)).toBe(2);
});

test('the key longest unused goes first', async () => {
  const { cache, fetch } = cacheAt(2);
  await cache.get('a', fetch);
  await cache.get('b', fetch);
  await cache.get('a', fetch);
  await cache.get('c', fetch);
  expect([cache.last('a'), cache.last('b'), cache.last('c')]).toEqual([1, undefined, 3]);
});
