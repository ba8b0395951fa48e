import { expect, test } from '@jest/globals';
import { canonicalJson } from '../contract/canonical-json.js';
import { decodeEvent } from '../contract/event.js';
import { admittedEvent } from '../testkit/admitted-event.js';
import { encodeAdmitted, encodeAnswer } from './encode.js';
import type { EventResult } from './publish.js';

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

test('an answer is the JSON of its counts and results', () => {
  const counts = { accepted: 1, duplicates: 1, rejected: 1 };
  const results: EventResult[] = [
    { index: 0, status: 'accepted', eventId: 'a' },
    { index: 1, status: 'duplicate', eventId: 'b:c.d_e-f' },
    { index: 2, status: 'rejected', code: 'unknown_field', pointer: '/"\\', retryable: false },
  ];
  expect(JSON.parse(encodeAnswer(counts, results))).toEqual({ ...counts, results });
});
