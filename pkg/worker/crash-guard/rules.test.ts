import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { crashKey, portionsOf } from './rules.js';
import { Turns } from './turns.js';

test('a key is the first eight bytes of an id of ours, and a digest of any other text', () => {
  expect(crashKey('0123456789abcdef' + '7'.repeat(48))).toBe('0123456789abcdef');
  for (const id of ['', '17', 'FFFFFFFFFFFFFFFF', 'a queue made this one'])
    expect(crashKey(id)).toMatch(/^[0-9a-f]{16}$/);
  expect(crashKey('17')).not.toBe(crashKey('18'));
});

test('portions are the batch in its order, with each suspect by itself', () => {
  const keys = fc.array(fc.integer({ min: 0, max: 9 }).map(String), { maxLength: 30 });
  fc.assert(
    fc.property(keys, fc.uniqueArray(fc.integer({ min: 0, max: 9 }).map(String)), (batch, suspects) => {
      const portions = portionsOf(batch, (key) => suspects.includes(key));
      expect(portions.flatMap(({ from, to }) => batch.slice(from, to))).toEqual(batch);
      for (const { isAlone, from, to } of portions) {
        expect(batch.slice(from, to).some((key) => suspects.includes(key))).toBe(isAlone);
        if (isAlone) expect(to - from).toBe(1);
      }
      for (const [i, { isAlone }] of portions.entries())
        expect(!isAlone && portions[i + 1]?.isAlone === false).toBe(false);
    }),
  );
});

test('any number run together, one runs alone, and nobody is overtaken', async () => {
  const turns = new Turns();
  const log: string[] = [];
  const ends = new Map<string, () => void>();
  const work = (name: string) => (): Promise<void> => {
    log.push(`${name} begins`);
    return new Promise<void>((resolve) => ends.set(name, resolve)).then(() => void log.push(`${name} ends`));
  };
  const all = [
    turns.together(work('a')),
    turns.together(work('b')),
    turns.alone(work('alone')),
    turns.together(work('c')),
  ];
  const end = async (name: string): Promise<void> => {
    ends.get(name)?.();
    for (let n = 0; n < 10; n += 1) await Promise.resolve();
  };
  await end('nobody');
  expect(log).toEqual(['a begins', 'b begins']);
  await end('a');
  expect(log).toHaveLength(3);
  await end('b');
  expect(log.slice(3)).toEqual(['b ends', 'alone begins']);
  await end('alone');
  expect(log.slice(5)).toEqual(['alone ends', 'c begins']);
  await end('c');
  await Promise.all(all);
});

test('who fails gives up its turn', async () => {
  const turns = new Turns();
  await expect(turns.alone(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(await turns.together(async () => 'next')).toBe('next');
});
