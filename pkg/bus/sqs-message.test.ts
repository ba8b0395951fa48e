import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { anyCharacter } from '../testkit/any-character.js';
import { decodeText, encodeText, fromWire, toWire } from './sqs-message.js';

/** What SQS takes. */
const TAKEN = /^[\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]+$/u;

const wellFormed = fc
  .oneof(
    fc.string({ unit: anyCharacter }),
    fc.string({ unit: fc.constantFrom('~', 'e', 'A', '\u0001', '\u001f', '\ufffe', '\uffff', '🎲', '\t') }),
  )
  .map((text) => text.replaceAll('\u0000', ''));

const event = fc.record(
  {
    gameId: wellFormed,
    playerId: wellFormed,
    messageId: wellFormed,
    body: wellFormed,
    headers: fc.dictionary(fc.oneof(wellFormed, fc.constant('traceparent')), wellFormed),
  },
  { requiredKeys: ['gameId', 'playerId', 'messageId', 'body', 'headers'] },
);

const received = (wire: ReturnType<typeof toWire>): ReturnType<typeof fromWire> =>
  fromWire({
    MessageId: 'of-sqs',
    ReceiptHandle: 'receipt',
    Body: wire.entry.MessageBody,
    MessageAttributes: wire.entry.MessageAttributes ?? {},
    Attributes: { MessageGroupId: wire.group, SequenceNumber: '42', SentTimestamp: '1700000000000' },
  });

test('row 25: any text becomes one that SQS takes, at most twice as long, and comes back as it was', () => {
  fc.assert(
    fc.property(wellFormed, (text) => {
      const encoded = encodeText(text);
      expect(encoded).toMatch(TAKEN);
      expect(decodeText(encoded)).toBe(text);
      expect(Buffer.byteLength(encoded)).toBeLessThanOrEqual(2 * Buffer.byteLength(text) + 1);
    }),
  );
});

test('row 25: a message survives the way through attributes, whatever is in its names and headers', () => {
  fc.assert(
    fc.property(event, (message) => {
      const wire = toWire(message);
      for (const attribute of Object.values(wire.entry.MessageAttributes ?? {}))
        expect(attribute.StringValue).toMatch(TAKEN);
      const { delivery } = received(wire);
      expect(delivery).toEqual({
        ...message,
        headers: { ...message.headers },
        position: `${wire.group}/42`,
        attempt: 1,
      });
    }),
  );
});

test('JSON stays as it is, but for what SQS refuses in it', () => {
  const json = JSON.stringify({ name: '~Ünï "🎲"', tab: '\t', control: '\u0001' });
  expect(encodeText(json)).toBe(json);
  expect(encodeText('{"name":"\uffff"}')).toBe('~{"name":"~f"}');
});

test('traceparent is an attribute of its own, all other headers share one', () => {
  const headers = { traceparent: '00-ab-cd-01', 'emoji 🎲': 'x', a: 'b' };
  const { entry } = toWire({ gameId: 'g', playerId: 'p', messageId: 'm', body: '{}', headers });
  expect(Object.keys(entry.MessageAttributes ?? {}).sort()).toEqual([
    'gameId',
    'headers',
    'messageId',
    'playerId',
    'traceparent',
  ]);
  expect(entry.MessageAttributes?.['traceparent']).toEqual({
    DataType: 'String',
    StringValue: '00-ab-cd-01',
  });
});

test('the same message id in two games or of two players is never one message to SQS', () => {
  const message = { gameId: 'g', playerId: 'p', messageId: 'same', body: '' };
  const others = [message, { ...message }, { ...message, gameId: 'h' }, { ...message, playerId: 'q' }];
  const ids = others.map((one) => toWire(one).entry.MessageDeduplicationId);
  expect(new Set(ids).size).toBe(3);
  expect(ids[0]).toBe(ids[1]);
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{64}$/);
});

test('headers that one request cannot carry are refused', () => {
  const headers = { big: 'x'.repeat(210 * 1024) };
  const publish = (): unknown => toWire({ gameId: 'g', playerId: 'p', messageId: 'm', body: '', headers });
  expect(publish).toThrow(expect.objectContaining({ code: 'message_refused' }));
});

test("what somebody else put into the queue is handed on with the queue's own names", () => {
  const { delivery } = fromWire({
    MessageId: 'of-sqs',
    Body: '~broken ~',
    MessageAttributes: { headers: { DataType: 'String', StringValue: '{' } },
    Attributes: { MessageGroupId: 'theirs', SequenceNumber: '7' },
  });
  expect(delivery).toEqual({
    body: 'broken ~',
    headers: {},
    messageId: 'of-sqs',
    gameId: '',
    playerId: 'theirs',
    position: 'theirs/7',
    attempt: 1,
  });
});
