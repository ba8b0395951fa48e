import { describe, expect, test } from '@jest/globals';
import canonicalize from 'canonicalize';
import fc from 'fast-check';
import { anyCharacter } from '../testkit/any-character.js';
import { canonicalJson, quoted } from './canonical-json.js';
import type { JsonValue } from './event.js';

describe('the canonical form of JSON (RFC 8785)', () => {
  test('is what the package canonicalize writes, for any JSON value', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5, stringUnit: anyCharacter }), (value) => {
        expect(canonicalJson(value as JsonValue)).toBe(canonicalize(value));
      }),
      { numRuns: 2_000 },
    );
    fc.assert(
      fc.property(
        fc.dictionary(fc.string({ size: 'large' }), fc.double({ noNaN: true, noDefaultInfinity: true })),
        (value) => {
          expect(canonicalJson(value)).toBe(canonicalize(value));
        },
      ),
    );
  });

  test('is what the package writes of keys that look like indices, of prototypes and of minus zero', () => {
    const texts = [
      '{"9":1,"10":2,"1":3,"a":4}',
      '{"__proto__":{"b":1,"a":2}}',
      '[-0,1e21,1e-7,5e-324]',
      '"\\ud800"',
      '{"":0}',
    ];
    for (const text of texts) {
      const value = JSON.parse(text) as JsonValue;
      expect(canonicalJson(value)).toBe(canonicalize(value));
    }
  });

  test('orders keys by UTF-16 code units, as the example of RFC 8785 section 3.2.3', () => {
    const value = {
      '\u20ac': 'Euro Sign',
      '\r': 'Carriage Return',
      '\ufb33': 'Hebrew Letter Dalet With Dagesh',
      '1': 'One',
      '\ud83d\ude00': 'Emoji: Grinning Face',
      '\u0080': 'Control',
      '\u00f6': 'Latin Small Letter O With Diaeresis',
    };
    expect(Object.values(JSON.parse(canonicalJson(value)) as object).slice(1)).toEqual([
      'Carriage Return',
      'Control',
      'Latin Small Letter O With Diaeresis',
      'Euro Sign',
      'Emoji: Grinning Face',
      'Hebrew Letter Dalet With Dagesh',
    ]);
  });

  test('refuses what is no JSON number', () => {
    for (const value of [NaN, Infinity, -Infinity]) expect(() => canonicalJson([value])).toThrow(TypeError);
  });

  test('quotes a string as JSON.stringify does', () => {
    fc.assert(
      fc.property(fc.string({ unit: anyCharacter, maxLength: 100 }), (text) => {
        expect(quoted(text)).toBe(JSON.stringify(text));
      }),
    );
    for (let code = 0; code < 0x200; code += 1) {
      const text = `a${String.fromCharCode(code)}`;
      expect(quoted(text)).toBe(JSON.stringify(text));
    }
  });
});
