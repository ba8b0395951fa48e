import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { snippetOf, SNIPPET_MAX_BYTES, snippetOfBytes } from './snippet.js';

const bytesOf = (text: string): number => Buffer.byteLength(text);

describe('a snippet of a value', () => {
  test('is its JSON, where that is short and hides nothing', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 4 }), (text) => {
        const json = JSON.stringify(JSON.parse(text));
        if (bytesOf(json) < SNIPPET_MAX_BYTES) expect(snippetOf(JSON.parse(text))).toBe(json);
      }),
      { numRuns: 300 },
    );
  });

  test('shows nothing that by its name is a secret, wherever it stands', () => {
    const sent = {
      a: [{ sessionToken: 'hush', b: 1 }],
      Password: { x: 'hush' },
      apiKey: 'hush',
      authorization: ['hush'],
    };
    expect(snippetOf(sent)).toBe(
      '{"a":[{"sessionToken":"***","b":1}],"Password":"***","apiKey":"***","authorization":"***"}',
    );
  });

  test.each([
    ['a long text', { a: '\u00e9\u{1f3ae}'.repeat(5_000) }],
    ['many members', Object.fromEntries(Array.from({ length: 5_000 }, (_, n) => [`k${String(n)}`, 'é']))],
    ['a long list', { list: Array.from({ length: 5_000 }, () => '\u{1f3ae}') }],
  ])('of %s is cut at its bound, between characters', (_what, value) => {
    const snippet = snippetOf(value);
    expect(bytesOf(snippet)).toBeLessThanOrEqual(SNIPPET_MAX_BYTES);
    expect(bytesOf(snippet)).toBeGreaterThan(SNIPPET_MAX_BYTES - 8);
    expect(snippet.endsWith('…')).toBe(true);
    expect(snippet).not.toContain('\ufffd');
  });
});

describe('a snippet of bytes', () => {
  test('is the text as it is, a part of it where a part is asked', () => {
    expect(snippetOfBytes(Buffer.from('{"a":1,"a":2}'))).toBe('{"a":1,"a":2}');
    expect(snippetOfBytes(Buffer.from('[{"a":1},{"b":é}]'), 9, 17)).toBe('{"b":é}');
  });

  test.each([
    ['{"token":"hush","x":1}', '{"token":"***","x":1}'],
    ['{"token" : "hu\\"sh" , "x":1', '{"token" : "***" , "x":1'],
    ['{"a":{"secret":12},"b":{"password":"hush', '{"a":{"secret":"***"},"b":{"password":"***"'],
    ['{"cookie":{"v":"hush"},"x":1}', '{"cookie":"***"'],
    ['"secret"', '"secret"'],
    ['{"secret":', '{"secret":"***"'],
  ])('hides secrets by their name: %s', (text, shown) => {
    expect(snippetOfBytes(Buffer.from(text))).toBe(shown);
  });

  test('is bounded and a text, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 6_000 }), (bytes) => {
        const snippet = snippetOfBytes(Buffer.from(bytes));
        expect(bytesOf(snippet)).toBeLessThanOrEqual(SNIPPET_MAX_BYTES);
        expect(Buffer.from(snippet).toString()).toBe(snippet);
      }),
      { numRuns: 200 },
    );
    expect(snippetOfBytes(Buffer.from('"x":{'.repeat(1_000)))).toHaveLength(SNIPPET_MAX_BYTES - 2);
    expect(snippetOfBytes(Buffer.from('"'.repeat(4_000)))).toHaveLength(SNIPPET_MAX_BYTES - 2);
  });
});
