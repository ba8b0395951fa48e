import { expect, test } from '@jest/globals';
import { BodyRoom } from './body-room.js';

const sends = (bytes: number): { headers: Record<string, string> } => ({
  headers: { 'content-length': String(bytes) },
});

test('bodies have room together, and of one holder no more than a share of it', () => {
  const room = new BodyRoom({ bytesMax: 100, bytesMaxOfOne: 60 });
  const leave = room.take('ada', sends(60), 60);
  expect(() => room.take('ada', sends(1), 60)).toThrow('overloaded');
  expect(() => room.take('bob', sends(41), 60)).toThrow('overloaded');
  room.take('ada', sends(0), 60)();
  const leaveToo = room.take('bob', sends(40), 60);
  leave();
  room.take('ada', sends(60), 60)();
  leaveToo();
  room.take('cyd', sends(60), 60);
});

test('a body that does not say how long it is takes the room of the longest', () => {
  const room = new BodyRoom({ bytesMax: 100, bytesMaxOfOne: 100 });
  room.take('ada', { headers: { 'transfer-encoding': 'chunked' } }, 60);
  expect(() => room.take('bob', sends(41), 60)).toThrow('overloaded');
  room.take('bob', sends(40), 60);
});
