import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import pLimit from 'p-limit';
import { OutageError } from '../../kernel/errors.js';
import { eventually } from '../../testkit/eventually.js';
import { quietLogger } from '../../testkit/quiet.js';
import { SharedLooks } from './shared-looks.js';

let sleepers: (() => void)[];
let leaving: AbortController;
let looks: SharedLooks<string>;
let looked: number;
let seen: string | Error;

beforeEach(() => {
  [sleepers, leaving, looked, seen] = [[], new AbortController(), 0, 'a'];
  const clock = {
    sleep: (_ms: number, signal?: AbortSignal) =>
      new Promise<void>((resolve) => {
        if (signal?.aborted) return resolve();
        sleepers.push(resolve);
        signal?.addEventListener('abort', () => resolve(), { once: true });
      }),
  };
  looks = new SharedLooks({ everyMs: 1_000, turns: pLimit(2), clock, logger: quietLogger });
});
afterEach(() => leaving.abort());

const look = async (): Promise<string> => {
  looked += 1;
  if (seen instanceof Error) throw seen;
  return seen;
};
/** A pause has passed. */
const next = async (): Promise<void> => {
  const before = looked;
  await eventually('all wait', () => sleepers.length > 0);
  for (const wake of sleepers.splice(0)) wake();
  await eventually('it was looked at', () => looked > before && sleepers.length > 0);
};

function listen(
  key = 'k',
  signal = leaving.signal,
): { readonly told: string[]; readonly ended: Promise<void> } {
  const told: string[] = [];
  return { told, ended: looks.listen(key, look, (value) => void told.push(value), signal) };
}

describe('a shared look', () => {
  test('is one for a thousand who listen, and each hears what differs and nothing else', async () => {
    const all = Array.from({ length: 1_000 }, () => listen());
    await eventually('the first look', () => sleepers.length > 0);
    expect(looked).toBe(1);
    await next();
    seen = 'b';
    await next();
    expect(looked).toBe(3);
    expect(all.every(({ told }) => told.join() === 'a,b')).toBe(true);
  });

  test('tells who comes later at once what was seen last', async () => {
    listen();
    await eventually('the first look', () => sleepers.length > 0);
    expect(listen().told).toEqual(['a']);
    expect(looked).toBe(1);
  });

  test('ends with the last who listens, and begins again with the next', async () => {
    const first = new AbortController();
    const one = listen('k', first.signal);
    const two = listen();
    await eventually('the first look', () => sleepers.length > 0);
    first.abort();
    await one.ended;
    seen = 'b';
    await next();
    expect([one.told, two.told]).toEqual([['a'], ['a', 'b']]);
    leaving.abort();
    await two.ended;
    expect([looks.size, looked]).toEqual([0, 2]);
    leaving = new AbortController();
    const three = listen();
    await eventually('it was looked at', () => three.told.length === 1);
    expect(looked).toBe(3);
  });

  test('does not begin for one who has left, nor look when all have left while it waited for its turn', async () => {
    leaving.abort();
    await listen().ended;
    expect([looks.size, looked]).toEqual([0, 0]);
    leaving = new AbortController();
    const { ended } = listen();
    leaving.abort();
    await ended;
    expect(looks.size).toBe(0);
  });

  test('that fails is tried again: an outage ends nothing', async () => {
    const { told } = listen();
    await eventually('the first look', () => sleepers.length > 0);
    seen = new OutageError('PostgreSQL');
    await next();
    await next();
    seen = 'b';
    await next();
    expect(told).toEqual(['a', 'b']);
  });

  test('takes turns with others', async () => {
    let underWay = 0;
    let most = 0;
    const slow = async (): Promise<string> => {
      most = Math.max(most, (underWay += 1));
      await new Promise((resolve) => setImmediate(resolve));
      underWay -= 1;
      return 'x';
    };
    const told: string[] = [];
    for (let i = 0; i < 20; i += 1)
      void looks.listen(String(i), slow, (value) => void told.push(value), leaving.signal);
    await eventually('all have been told', () => told.length === 20);
    expect(most).toBe(2);
  });
});
