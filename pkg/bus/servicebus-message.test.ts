import { expect, test } from '@jest/globals';
import { brokerMessageId, SESSION_COUNT, sessionOf, toBroker, toDelivery } from './servicebus-message.js';

const message = { gameId: 'demo', playerId: 'p-1', messageId: 'm-1', body: '{}' };

test('the id that the broker drops repeats by names game, player and message, and no two triples make one', () => {
  const ids = [
    message,
    { ...message, gameId: 'other' },
    { ...message, playerId: 'p-2' },
    { ...message, messageId: 'm-2' },
    { ...message, gameId: 'de', playerId: 'mop-1' },
    { ...message, playerId: 'p-1m', messageId: '-1' },
  ].map(brokerMessageId);
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids[0]).toMatch(/^[0-9a-f]{64}$/);
  expect(brokerMessageId({ ...message, body: 'other', headers: { a: 'b' } })).toBe(ids[0]);
});

test('the session is the lane of the player, and all of them are used', () => {
  expect(sessionOf(message)).toBe(sessionOf({ ...message, messageId: 'm-2', body: 'x' }));
  const sessions = Array.from({ length: 5_000 }, (_, n) => sessionOf({ ...message, playerId: `p-${n}` }));
  expect(new Set(sessions).size).toBe(SESSION_COUNT);
});

test('a header that has one of our own names is refused rather than lost', () => {
  expect(() => toBroker({ ...message, headers: { gameId: 'other' } })).toThrow(
    expect.objectContaining({ code: 'message_refused' }),
  );
});

test('what someone else has sent comes out known by its place alone, for its role to bury', () => {
  const received = { body: { a: 1 }, sessionId: '7', applicationProperties: { n: 1, traceparent: 'tp' } };
  expect(toDelivery(received as unknown as Parameters<typeof toDelivery>[0])).toEqual({
    body: '{"a":1}',
    headers: { traceparent: 'tp' },
    gameId: '',
    playerId: '',
    messageId: '7/',
    position: '7/',
    attempt: 1,
  });
});
