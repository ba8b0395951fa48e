import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { diffLines, hunksOf } from './line-diff.ts';

const shown = (old: string, now: string): string =>
  diffLines(old, now)
    .map(({ kind, text }) => `${{ same: ' ', removed: '-', added: '+' }[kind]}${text}`)
    .join('\n');
const lines = fc.array(fc.constantFrom('a', 'b', 'c', ''), { maxLength: 12 }).map((all) => all.join('\n'));

describe('the difference of two texts by lines', () => {
  test('keeps what is the same and tells what changed', () => {
    expect(shown('a\nb\nc\n', 'a\nx\nc\nd\n')).toBe(' a\n-b\n+x\n c\n+d');
  });

  test('numbers the lines of both', () => {
    expect(diffLines('a\nb', 'b').map(({ before, after }) => [before, after])).toEqual([
      [1, null],
      [2, 1],
    ]);
  });

  test('is nothing but same lines for the same text', () => {
    fc.assert(fc.property(lines, (text) => diffLines(text, text).every(({ kind }) => kind === 'same')));
  });

  test('leads from the one text to the other and back, whatever they are', () => {
    const ended = (text: string): string[] => (text.endsWith('\n') ? text.slice(0, -1) : text).split('\n');
    fc.assert(
      fc.property(lines, lines, (old, now) => {
        const diff = diffLines(`${old}\nz`, `${now}\nz`);
        const side = (without: string): string[] =>
          diff.filter(({ kind }) => kind !== without).map(({ text }) => text);
        expect(side('added')).toEqual(ended(`${old}\nz`));
        expect(side('removed')).toEqual(ended(`${now}\nz`));
      }),
    );
  });

  test('of very long texts that share nothing is all of both, at once', () => {
    const many = (word: string): string =>
      Array.from({ length: 20_000 }, (_, row) => `${word} ${row}`).join('\n');
    expect(diffLines(many('old'), many('new'))).toHaveLength(40_000);
  });

  test('leaves out what is far from every change', () => {
    const text = Array.from({ length: 20 }, (_, row) => String(row)).join('\n');
    const hunks = hunksOf(diffLines(text, text.replace('10', 'ten')), 1);
    expect(hunks.map((line) => line?.text ?? '…')).toEqual(['…', '9', '10', 'ten', '11', '…']);
  });
});
