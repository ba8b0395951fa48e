import { expect, test } from '@jest/globals';
import { countOf } from './plural.js';

test('one is one, and none, some and a day back are told as people do', () => {
  expect([0, 1, 2].map((count) => countOf(count, 'player'))).toEqual(['0 players', '1 player', '2 players']);
  expect(countOf(-1, 'day')).toBe('-1 day');
  expect(countOf(2, 'entry', 'entries')).toBe('2 entries');
});
