import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { canonicalJson } from '../contract/canonical-json.js';
import { decodeEvent, type JsonObject } from '../contract/event.js';
import { contentHashOf } from '../contract/identity.js';
import { admittedEvent } from '../testkit/admitted-event.js';
import { anyCharacter } from '../testkit/any-character.js';
import { encodeAdmitted, encodeAnswer } from './encode.js';
import type { EventResult } from './event-result.js';

test('what the bus carries decodes to the event itself, whatever its texts and its optional parts', () => {
  const odd = { playerId: 'Zoë "\\\n🎮', payload: { text: '"\\\u2028', list: [1, { a: null }], n: 1e21 } };
  const context = { build: '1"2', platform: 'ios', sentAtMs: 1, late: true } as const;
  for (const over of [
    {},
    odd,
    { ...odd, schemaVersion: 7 },
    { context },
    { mapped: false, src: 'client' as const },
  ]) {
    const event = admittedEvent({ id: 'evt-1', ...over });
    expect(decodeEvent(encodeAdmitted(event, canonicalJson(event.payload)))).toEqual(event);
  }
});

test('any event at all comes back from the bus as it was, and keeps its content hash', () => {
  const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 });
  const events = fc.record({
    playerId: text,
    payload: fc.dictionary(text, fc.jsonValue({ maxDepth: 3, stringUnit: anyCharacter })),
    src: fc.constantFrom('server' as const, 'client' as const),
    mapped: fc.boolean(),
    context: fc.record(
      { build: text, platform: text, sessionId: text, late: fc.constant(true as const) },
      { requiredKeys: [] },
    ),
  });
  fc.assert(
    fc.property(events, (over) => {
      const event = admittedEvent({
        id: 'evt-1',
        ...over,
        payload: JSON.parse(canonicalJson(over.payload as JsonObject)) as JsonObject,
      });
      const read = decodeEvent(encodeAdmitted(event, canonicalJson(event.payload)));
      expect(read).toEqual(event);
      expect(contentHashOf(read)).toBe(event.contentHash);
    }),
    { numRuns: 200 },
  );
});

test('an answer is the JSON of its counts and results', () => {
  const counts = { accepted: 1, duplicates: 1, rejected: 1 };
  const results: EventResult[] = [
    { index: 0, status: 'accepted', eventId: 'a' },
    { index: 1, status: 'duplicate', eventId: 'b:c.d_e-f' },
    { index: 2, status: 'rejected', code: 'unknown_field', pointer: '/"\\', retryable: false },
  ];
  expect(JSON.parse(encodeAnswer(counts, results))).toEqual({ ...counts, results });
});
