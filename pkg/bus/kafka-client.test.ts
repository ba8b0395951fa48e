import { expect, test } from '@jest/globals';
import { seedNames } from './kafka-client.js';

test('a broker with an IPv6 address gets a name that the client understands', () => {
  const { names, hostOf } = seedNames(['kafka-1:9092', '[::1]:9093']);
  expect(names).toEqual(['kafka-1:9092', 'seed-1:9093']);
  expect(names.map((name) => hostOf(name.split(':')[0] ?? ''))).toEqual(['kafka-1', '::1']);
});
