import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decodePlace, encodePlace } from './cursor.js';

test('a place survives its cursor', () => {
  const subject = fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 40 })
    .filter((text) => !text.includes('\u0000'));
  fc.assert(
    fc.property(fc.maxSafeInteger(), fc.maxSafeNat(), subject, (score, reachedAtMs, name) => {
      const place = { score, reachedAtMs, subject: name };
      expect(decodePlace(encodePlace(place))).toEqual(place);
    }),
  );
});

const written = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

test.each([
  '',
  'x',
  '????',
  'bm90IGpzb24',
  written(null),
  written([]),
  written([1, 2]),
  written([1, 2, 'a', 4]),
  written(['1', 2, 'a']),
  written([1.5, 2, 'a']),
  written([1, -2, 'a']),
  written([2 ** 53, 2, 'a']),
  written([1, 2, '']),
  written([1, 2, 'a\u0000']),
  written([1, 2, '\ud800']),
  `${written([1, 2, 'a'])}=`,
  Buffer.from('[1, 2, "a"]').toString('base64url'),
  written([1, 2, 'a'.repeat(4_000)]),
])('a cursor that was not given is refused: %p', (cursor) => {
  expect(() => decodePlace(cursor)).toThrow(expect.objectContaining({ code: 'invalid_cursor' }));
});

test('whatever is sent as cursor is a place or invalid_cursor', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        decodePlace(text);
      } catch (error) {
        expect(error).toMatchObject({ code: 'invalid_cursor' });
      }
    }),
  );
});
