import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createHmac } from 'node:crypto';
import { anyCharacter } from '../testkit/any-character.js';
import { hmacSha256Hex } from './hmac.js';

const byNode = (secret: string, text: string): string =>
  createHmac('sha256', secret).update(text).digest('hex');

test('a MAC is what node:crypto makes of the same secret and text', () => {
  const anyText = fc.string({ unit: anyCharacter, maxLength: 150 });
  fc.assert(
    fc.property(anyText, anyText, (secret, text) => {
      expect(hmacSha256Hex(secret, text)).toBe(byNode(secret, text));
    }),
  );
});

test('secrets around one block and texts around the buffer make no difference', () => {
  for (const unit of ['k', 'ß', '€', '🧙']) {
    for (const length of [0, 1, 16, 21, 22, 31, 32, 33, 63, 64, 65, 500]) {
      for (const textLength of [0, 1, 1365, 1366, 4096, 4097, 9000]) {
        const [secret, text] = [unit.repeat(length), unit.repeat(textLength)];
        expect(hmacSha256Hex(secret, text)).toBe(byNode(secret, text));
      }
    }
  }
});

test('a call leaves nothing behind for the next one', () => {
  const long = byNode('a longer secret', 'a longer text');
  expect(hmacSha256Hex('a longer secret', 'a longer text')).toBe(long);
  expect(hmacSha256Hex('k', 't')).toBe(byNode('k', 't'));
  expect(hmacSha256Hex('', '')).toBe(byNode('', ''));
});
