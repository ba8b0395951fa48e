import { expect, test } from '@jest/globals';
import { playerKey } from '../kernel/lanes.js';
import { toDelivery, toRecord } from './kafka-record.js';

const message = { gameId: 'demo', playerId: 'p-1', messageId: 'm-1', body: '{"score":1}' };

test('a record is keyed by its player, whatever the message is', () => {
  const [one, other] = [toRecord(message, 5), toRecord({ ...message, messageId: 'm-2', body: '' }, 6)];
  expect(one.record.key).toBe(playerKey('demo', 'p-1'));
  expect(other.record.key).toBe(one.record.key);
  expect(one.record.timestamp).toBe('5');
});

test('a record is counted as larger than its texts', () => {
  const { bytes } = toRecord(
    { ...message, body: 'é'.repeat(100), headers: { traceparent: 'x'.repeat(50) } },
    5,
  );
  expect(bytes).toBeGreaterThan(64 + 200 + 50 + 'demop-1m-1traceparent'.length);
});

test('a header with a name of ours is refused: it could take the place of ours', () => {
  expect(() => toRecord({ ...message, headers: { 'fairtally-game-id': 'red' } }, 5)).toThrow(
    expect.objectContaining({ code: 'message_refused' }),
  );
});

test('a record of somebody else becomes a delivery that names its place', () => {
  const foreign = {
    key: null,
    value: null,
    timestamp: '5',
    attributes: 0,
    offset: '41',
    headers: { a: ['b', 'c'] },
  };
  expect(toDelivery(3, foreign)).toEqual({
    gameId: '',
    playerId: '',
    messageId: '3/41',
    body: '',
    headers: { a: 'b' },
    position: '3/41',
    attempt: 1,
  });
});
