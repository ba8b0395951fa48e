import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { splitBatch, type BatchFault, type BatchForm, type SplitBatch } from './split-batch.js';
import { DEFAULT_JSON_LIMITS, parseStrictJson } from '../contract/strict-json.js';

const limits = { ...DEFAULT_JSON_LIMITS, maxItems: 500 };
const split = (text: string | Buffer, form: BatchForm = 'json'): SplitBatch | BatchFault =>
  splitBatch(Buffer.isBuffer(text) ? text : Buffer.from(text), form, limits);

const deep = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
const good = ['{"id":"a","payload":{"x":1}}', '{"id":"a,b]}","t":"é:\\"{["}', '{}', '7', '"é"', '[[1],[2]]'];
const bad: readonly (readonly [string, string])[] = [
  ['{"a":1,"a":1}', 'duplicate_key'],
  ['{"a":{"__proto__":1}}', 'forbidden_key'],
  ['{"a":[1e400]}', 'invalid_number'],
  ['{"a":"\\u0000"}', 'invalid_character'],
  [deep(17), 'too_deep'],
  [deep(5_000), 'too_deep'],
  [`{"a":"${'x'.repeat(9_000)}"}`, 'string_too_long'],
  [
    JSON.stringify(Object.fromEntries(Array.from({ length: 513 }, (_, i) => [`k${String(i)}`, i]))),
    'too_many_keys',
  ],
];

/** A body made of these events, in each of the three ways a batch may come. */
const ways: readonly (readonly [string, BatchForm, (events: readonly string[]) => string])[] = [
  ['an array', 'json', (events) => ` [ ${events.join(' ,\n')} ] \n`],
  ['an envelope', 'json', (events) => `{"sentAt":1,"events" :[${events.join(',')}],"context":{"build":"7"}}`],
  ['NDJSON', 'ndjson', (events) => `${events.join('\r\n\n')}\n`],
];

describe.each(ways)('a batch as %s', (_name, form, bodyOf) => {
  test('row 27: each event is judged on its own, exactly as if it had come alone', () => {
    const event = fc.constantFrom(...good, ...bad.map(([text]) => text));
    fc.assert(
      fc.property(fc.array(event, { maxLength: 12 }), (others) => {
        const events = ['{}', ...others]; // NDJSON that begins with `[` is an array under the wrong type
        const answer = split(bodyOf(events), form);
        expect(answer.ok && answer.items).toEqual(
          events.map((text) => parseStrictJson(Buffer.from(text), limits)),
        );
      }),
      { numRuns: 200 },
    );
  });

  test.each(bad)('row 27: of 500 events the one that is %.20s refuses itself alone: %s', (text, code) => {
    const events = Array.from({ length: 500 }, (_, i) => (i === 321 ? text : `{"id":"e${String(i)}"}`));
    const answer = split(bodyOf(events), form);
    if (!answer.ok) throw new Error(answer.code);
    expect(answer.items.filter(({ ok }) => ok)).toHaveLength(499);
    expect(answer.items[321]).toMatchObject({ ok: false, code });
  });

  test('row 4: an event that is not UTF-8 refuses itself alone', () => {
    const body = Buffer.from(bodyOf(['{"id":"a"}', '{"id":"\u00e9"}', '{"id":"c"}']));
    body[body.indexOf(0xc3)] = 0xff;
    const answer = split(body, form);
    expect(answer.ok && answer.items.map((item) => (item.ok ? 'ok' : item.code))).toEqual([
      'ok',
      'invalid_utf8',
      'ok',
    ]);
  });

  test('row 28: 501 events are refused whole', () => {
    const events = Array.from({ length: 501 }, () => '{}');
    expect(split(bodyOf(events), form)).toEqual({ ok: false, code: 'too_many_events' });
    expect(split(bodyOf([...events.slice(1), '{"a":1,"a":1}']), form)).toEqual({
      ok: false,
      code: 'too_many_events',
    });
    expect(split(bodyOf(events.slice(1)), form).ok).toBe(true);
  });
});

describe('splitting a batch', () => {
  test('row 1: a body that is not JSON is refused whole, also when one of its events has another fault', () => {
    const broken = [
      '[',
      '[1',
      '[1,',
      '[,1]',
      '[1,,2]',
      '[1,]',
      '[1]]',
      '[1] x',
      '[1}',
      '{"events":[1}',
      '{"events":[1]',
      '{"events":[1],}',
    ];
    for (const text of broken) {
      expect(split(text)).toMatchObject({ ok: false, code: 'malformed_json' });
      expect(split(text.replace('1', '{"a":1,"a":1}'))).toMatchObject({ ok: false, code: 'malformed_json' });
      expect(split(text.replace('1', deep(20)))).toMatchObject({ ok: false, code: 'malformed_json' });
    }
    for (const text of ['hello', '[{"a":1]', '[{"a":}]', '{"a":1}\n{"b":2}']) {
      expect(split(text)).toMatchObject({ ok: false, code: 'malformed_json' });
    }
    expect(split(Buffer.from([0xff, 0xfe, 0x00]))).toMatchObject({ ok: false, code: 'invalid_utf8' });
    expect(split('\ufeff[]')).toMatchObject({ ok: false, code: 'invalid_utf8' });
    expect(split('\ufeff{}', 'ndjson')).toMatchObject({ ok: false, code: 'invalid_utf8' });
  });

  test('row 1: takes any bytes at all without throwing', () => {
    const signs = fc.constantFrom(...'{}[],:"\\ 1a\n\u00e9'.split(''), '"events":[', '"a":');
    fc.assert(
      fc.property(fc.array(signs, { maxLength: 24 }), fc.constantFrom('json', 'ndjson'), (parts, form) => {
        expect(typeof split(parts.join(''), form).ok).toBe('boolean');
      }),
      { numRuns: 2_000 },
    );
  });

  test('row 2: no bytes, or white space alone, is an empty body; an empty array is an empty batch', () => {
    for (const text of ['', ' \n\n']) {
      expect(split(text)).toEqual({ ok: false, code: 'empty_body' });
      expect(split(text, 'ndjson')).toEqual({ ok: false, code: 'empty_body' });
    }
    expect(split(' [ ] ')).toEqual({ ok: true, items: [], faulty: new Map(), envelope: null });
    expect(split('{"events":[]}')).toEqual({ ok: true, items: [], faulty: new Map(), envelope: {} });
  });

  test('a line of NDJSON that is not JSON refuses itself; when no line is JSON the body is refused', () => {
    const answer = split('{"id":"a"}\nnonsense\n{"id":"c"}', 'ndjson');
    expect(answer.ok && answer.items.map((item) => (item.ok ? 'ok' : item.code))).toEqual([
      'ok',
      'malformed_json',
      'ok',
    ]);
    expect(split('nonsense\nmore', 'ndjson')).toEqual({ ok: false, code: 'malformed_json' });
  });

  test('an array under the type of NDJSON, and lines under the type of JSON, are refused', () => {
    expect(split('[{"id":"a"}]', 'ndjson')).toEqual({ ok: false, code: 'malformed_json' });
    expect(split('{"id":"a"}\n{"id":"b"}')).toEqual({ ok: false, code: 'malformed_json' });
  });

  test('the members of an envelope come back beside its events, also when an event has a fault', () => {
    const envelope = { sentAt: 1, context: { build: '7', events: [1] } };
    for (const event of ['{"id":"a"}', '{"a":1,"a":1}', deep(40)]) {
      const body = `{"sentAt":1,"context":{"build":"7","events":[1]},"\\u0065vents":[${event}]}`;
      expect(split(body)).toMatchObject({ ok: true, envelope });
    }
  });

  test.each([
    ['{"events":[],"events":[]}', 'duplicate_key', '/events'],
    ['{"events":1,"events":[]}', 'duplicate_key', '/events'],
    ['{"events":[],"events":1}', 'duplicate_key', '/events'],
    ['{"sentAt":1,"events":[{"a":1}],"sentAt":2}', 'duplicate_key', '/sentAt'],
    ['{"context":{"build":1e400},"events":[{}]}', 'invalid_number', '/context/build'],
    ['{"__proto__":{"x":1},"events":[{}]}', 'forbidden_key', '/__proto__'],
    ['{"events":[{}],"context":"\\ud800"}', 'invalid_character', '/context'],
  ])('a fault in the envelope refuses the batch: %s', (text, code, pointer) => {
    expect(split(text)).toEqual({ ok: false, code, pointer });
  });

  test('JSON that is neither an array nor an envelope is no batch', () => {
    for (const text of ['5', '"a"', '{}', '{"id":"a"}', '{"events":{}}', '{"a":{"events":[]}}']) {
      expect(split(text)).toMatchObject({ ok: false, code: 'not_a_batch' });
    }
  });
});
