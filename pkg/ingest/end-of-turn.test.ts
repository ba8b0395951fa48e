import { expect, test } from '@jest/globals';
import { createEndOfTurn } from './end-of-turn.js';

test('all who ask in one turn go on together at its end, those who ask later at a later one', async () => {
  const endOfTurn = createEndOfTurn();
  const order: string[] = [];
  const first = endOfTurn().then(() => {
    order.push('first');
    return endOfTurn().then(() => order.push('later'));
  });
  const second = endOfTurn().then(() => order.push('second'));
  await Promise.resolve().then(() => order.push('same turn'));
  await Promise.all([first, second]);
  expect(order).toEqual(['same turn', 'first', 'second', 'later']);
});
