import type { IncomingMessage } from 'node:http';
import { describe, expect, test } from '@jest/globals';
import { budgetKey, createClientAddress, type TrustedProxies } from './client-address.js';

const from = (remoteAddress: string, forwarded?: string): IncomingMessage =>
  ({
    socket: { remoteAddress },
    headers: forwarded === undefined ? {} : { 'x-forwarded-for': forwarded },
  }) as never;
const hops = (count: number): TrustedProxies => ({ kind: 'hops', hops: count });
const networks = (...list: string[]): TrustedProxies => ({ kind: 'networks', networks: list });

describe('the address of a client', () => {
  const cases: [string, TrustedProxies, IncomingMessage, string][] = [
    [
      'without trust the header is nothing',
      { kind: 'none' },
      from('198.51.100.1', '1.1.1.1'),
      '198.51.100.1',
    ],
    ['one hop takes the last entry', hops(1), from('10.0.0.1', '6.6.6.6, 1.1.1.1'), '1.1.1.1'],
    ['two hops take the one before', hops(2), from('10.0.0.1', '6.6.6.6, 1.1.1.1, 10.0.0.2'), '1.1.1.1'],
    ['more hops than entries end at the first', hops(5), from('10.0.0.1', '1.1.1.1'), '1.1.1.1'],
    ['no header leaves the socket', hops(1), from('10.0.0.1'), '10.0.0.1'],
    ['junk leaves the proxy that let it pass', hops(2), from('10.0.0.1', 'evil, 10.0.0.2'), '10.0.0.2'],
    [
      'a trusted network is gone through',
      networks('10.0.0.0/8'),
      from('10.0.0.1', '6.6.6.6, 1.1.1.1, 10.9.9.9'),
      '1.1.1.1',
    ],
    ['a socket outside of it is the client', networks('10.0.0.0/8'), from('9.9.9.9', '1.1.1.1'), '9.9.9.9'],
    ['IPv6 networks', networks('fd00::/8'), from('fd00::1', '2001:db8::7'), '2001:db8::7'],
    ['IPv4 on a dual-stack socket', networks('10.0.0.1'), from('::ffff:10.0.0.1', '1.1.1.1'), '1.1.1.1'],
  ];
  test.each(cases)('row 60: the address of a client: %s', (_, trust, request, expected) => {
    expect(createClientAddress(trust)(request)).toBe(expected);
  });
});

test('row 60: an IPv6 customer has one budget, whatever address of the /64 is used and however it is written', () => {
  const one = budgetKey('2001:db8:1:2::1');
  for (const same of [
    '2001:db8:1:2:ffff:ffff:ffff:ffff',
    '2001:0db8:0001:0002::',
    '2001:db8:1:2:0:0:0:9%eth0',
  ]) {
    expect(budgetKey(same)).toBe(one);
  }
  expect(budgetKey('2001:db8:1:3::1')).not.toBe(one);
  expect(budgetKey('::1')).toBe('0:0:0:0::/64');
  expect(budgetKey('203.0.113.9')).toBe('203.0.113.9');
});
