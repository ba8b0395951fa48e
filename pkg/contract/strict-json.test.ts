import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { DEFAULT_JSON_LIMITS, parseStrictJson, type JsonLimits, type JsonRead } from './strict-json.js';

const read = (text: string, limits?: JsonLimits): JsonRead =>
  parseStrictJson(Buffer.from(text, 'utf8'), limits);
const wide: JsonLimits = { maxDepth: 64, maxKeys: 1e6, maxStringBytes: 1e6, maxKeyBytes: 1e6 };

/** JSON values that the strict reader takes as they are. */
const cleanString = fc.string({ unit: 'grapheme' }).filter((text) => !/[\u0000\ufffe\uffff]/.test(text));
const cleanKey = cleanString.filter((key) => !['__proto__', 'constructor', 'prototype'].includes(key));
const cleanNumber = fc.oneof(
  fc.maxSafeInteger(),
  fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e6, max: 1e6 }),
);
const cleanValue = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    cleanString,
    cleanNumber.filter((n) => !Object.is(n, -0)),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(cleanKey, tie('value'), { maxKeys: 5, noNullPrototype: true }),
  ),
})).value;

describe('strict JSON', () => {
  test('reads every clean value exactly as JSON.parse does, whatever the white space', () => {
    fc.assert(
      fc.property(cleanValue, fc.constantFrom('', ' ', '\n', '\t', '\r\n  '), (value, space) => {
        const text = JSON.stringify(value, null, space.replace(/[\r]/g, ''));
        const answer = read(space + text + space, wide);
        expect(answer).toEqual({ ok: true, value: JSON.parse(text) });
      }),
      { numRuns: 500 },
    );
  });

  test('row 1: what JSON.parse refuses is malformed, and nothing else is', () => {
    const pieces = [
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"',
      '"a"',
      '"b"',
      '1',
      '-',
      '0.5',
      'null',
      'true',
      ' ',
      '\\',
    ];
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 12 }), (parts) => {
        const text = parts.join('');
        let parses = true;
        try {
          JSON.parse(text);
        } catch {
          parses = false;
        }
        const answer = read(text, wide);
        const says = answer.ok ? 'ok' : answer.code;
        if (text.trim() === '') expect(says).toBe('empty_body');
        else if (parses) expect(says).not.toBe('malformed_json');
        else expect(says).toBe('malformed_json');
      }),
      { numRuns: 2_000 },
    );
  });

  test('row 1: takes any bytes at all without throwing', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        expect(typeof parseStrictJson(Buffer.from(bytes)).ok).toBe('boolean');
      }),
      { numRuns: 1_000 },
    );
    for (const text of [
      '{',
      '{"a"',
      '{"a":',
      '"',
      '"\\',
      '"\\u00',
      '[1,]',
      '{"a":1,}',
      'NaN',
      "{'a':1}",
      '01',
      '{}{}',
    ]) {
      expect(read(text)).toMatchObject({ ok: false, code: 'malformed_json' });
    }
    expect(read('"\u0001"')).toMatchObject({ code: 'malformed_json' });
  });

  test('row 2: no bytes, or white space alone, is an empty body', () => {
    for (const text of ['', ' ', '\r\n\t ']) expect(read(text)).toEqual({ ok: false, code: 'empty_body' });
  });

  test('row 4: bytes that are not UTF-8 and byte order marks are refused', () => {
    for (const hex of [
      '7b22ff223a317d',
      '22eda08022',
      '22c3',
      'efbbbf7b7d',
      'fffe7b00',
      '22c0af22',
      '22f490808022',
    ]) {
      expect(parseStrictJson(Buffer.from(hex, 'hex'))).toEqual({ ok: false, code: 'invalid_utf8' });
    }
    expect(read('"\ufeff"')).toEqual({ ok: true, value: '\ufeff' });
  });

  test('row 20: sixteen levels are read, seventeen are too deep, and a million answer at once', () => {
    const nested = (open: string, close: string, depth: number): string =>
      open.repeat(depth) + '1' + close.repeat(depth);
    for (const [open, close] of [
      ['[', ']'],
      ['{"a":', '}'],
    ] as const) {
      expect(read(nested(open, close, 16)).ok).toBe(true);
      for (const depth of [17, 1e4, 1e6]) {
        expect(read(nested(open, close, depth))).toEqual({ ok: false, code: 'too_deep' });
      }
    }
    expect(read('['.repeat(1e6))).toEqual({ ok: false, code: 'too_deep' });
    expect(read(JSON.stringify('['.repeat(100)))).toMatchObject({ ok: true });
  });

  test.each([
    ['{"a":{"b":1e400}}', '/a/b'],
    ['{"a":[0,-1e999]}', '/a/1'],
    ['{"a":9007199254740993}', '/a'],
    ['{"a":-9007199254740992}', '/a'],
    ['{"a":9007199254740992.0}', '/a'],
    ['{"a":1e300}', '/a'],
    ['{"a":-0}', '/a'],
    ['[-0.0]', '/0'],
    ['[1,-1e-400]', '/1'],
    ['-0', ''],
    ['{"a/b":{"c~d":1e400}}', '/a~1b/c~0d'],
  ])('row 21: %s is an invalid number at %p', (text, pointer) => {
    expect(read(text)).toEqual({ ok: false, code: 'invalid_number', pointer });
  });

  test('row 21: safe integers, fractions and tiny numbers are read; digits as text stay text', () => {
    const text = '[9007199254740991,-9007199254740991,0,0.1,1e-7,1E3,1795176000.25,"12"]';
    expect(read(text)).toEqual({ ok: true, value: JSON.parse(text) });
  });

  test.each([
    ['{"a":1,"a":2}', '/a'],
    ['{"a":1,"\\u0061":2}', '/a'],
    ['{"x":[{"b":0},{"c":{"d":1,"e":":","d":1}}]}', '/x/1/c/d'],
    ['{"a":{"b":1,"c":2},"a":{"b":1,"c":2}}', '/a'],
    ['{"":1,"":2}', '/'],
    ['{"a":1,"b":"\\"a\\":","a" : 2}', '/a'],
    ['{"a":[1,2,{"b":1,"b":1}]}', '/a/2/b'],
    ['{"a\\"b":"\\\\","c":{"x\\"y":1,"x\\"y":2}}', '/c/x"y'],
  ])('row 22: %s has a duplicate key at %p', (text, pointer) => {
    expect(read(text)).toEqual({ ok: false, code: 'duplicate_key', pointer });
  });

  test('row 22: a duplicate is found wherever it is hidden, and colons in strings are none', () => {
    fc.assert(
      fc.property(
        cleanValue,
        cleanKey,
        cleanValue,
        cleanValue,
        fc.boolean(),
        (other, key, one, two, twice) => {
          const again = twice ? `,${JSON.stringify(key)}:${JSON.stringify(two)}` : '';
          const text = `[${JSON.stringify(other)},{${JSON.stringify(key)}:${JSON.stringify(one)}${again}}]`;
          expect(read(text, wide)).toMatchObject(
            twice ? { ok: false, code: 'duplicate_key' } : { ok: true, value: JSON.parse(text) as unknown },
          );
        },
      ),
      { numRuns: 500 },
    );
    expect(read('{"a":"b:c","d:e":":\\":"}').ok).toBe(true);
  });

  test('row 23: the keys that reach prototypes are refused at any depth and in any spelling', () => {
    for (const key of ['__proto__', 'constructor', 'prototype', '\\u005f_proto__', 'const\\u0072uctor']) {
      for (const text of [
        `{"${key}":{"x":1}}`,
        `{"a":[{"b":{"${key}":null}}]}`,
        `[{"${key}":1,"${key}":2}]`,
      ]) {
        expect(read(text)).toMatchObject({ ok: false, code: 'forbidden_key' });
      }
    }
    expect(read('{"a":[{"__proto__":{"x":1}}]}')).toMatchObject({ pointer: '/a/0/__proto__' });
    expect(({} as Record<string, unknown>)['x']).toBeUndefined();
    expect(read('{"a":"__proto__","proto":1,"Constructor":2}').ok).toBe(true);
  });

  test('row 25: U+0000, noncharacters and halves of surrogate pairs are refused, in strings and in keys', () => {
    const escaped = ['\\u0000', '\\ud800', '\\udc00', '\\udc00\\ud800', '\\uffff', '\\uFFFE', '\\ud83dx'];
    for (const bad of [...escaped, '\uffff', '\ufffe']) {
      expect(read(`{"a":["x${bad}y"]}`)).toEqual({ ok: false, code: 'invalid_character', pointer: '/a/0' });
      expect(read(`{"b":{"x${bad}y":1}}`)).toEqual({ ok: false, code: 'invalid_character', pointer: '/b' });
    }
    for (const good of [
      '\\ud83d\\ude00',
      '😀',
      '\\\\u0000',
      'e\u0301',
      '\u202e',
      '\\u0001',
      '\ufffd',
      '\u007f',
    ]) {
      const text = `{"a":"${good}"}`;
      expect(read(text)).toEqual({ ok: true, value: JSON.parse(text) });
    }
  });

  test('row 24: strings and keys are limited in bytes, not in characters', () => {
    const limits = { ...DEFAULT_JSON_LIMITS, maxStringBytes: 8, maxKeyBytes: 4 };
    expect(read('{"éé":"éééé"}', limits).ok).toBe(true);
    expect(read('{"a":"ééééx"}', limits)).toEqual({ ok: false, code: 'string_too_long', pointer: '/a' });
    expect(read('{"ééx":1}', limits)).toEqual({ ok: false, code: 'string_too_long', pointer: '' });
  });

  test('row 28: one key too many is refused, however they are spread', () => {
    const limits = { ...DEFAULT_JSON_LIMITS, maxKeys: 3 };
    expect(read('{"a":{"b":1},"c":1}', limits).ok).toBe(true);
    expect(read('{"a":{"b":1},"c":{"d":1}}', limits)).toEqual({ ok: false, code: 'too_many_keys' });
  });
});
