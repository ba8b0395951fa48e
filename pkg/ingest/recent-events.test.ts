import { expect, test } from '@jest/globals';
import { hash } from 'node:crypto';
import { RecentEvents } from './recent-events.js';

const contentOf = (n: number): string => hash('sha256', `content ${String(n)}`, 'hex');
const identityOf = (n: number): string => hash('sha256', `identity ${String(n)}`, 'hex').slice(0, 32);

test('remembers at least the younger half of its bound and never more than all of it', () => {
  for (const bound of [1, 2, 3, 40]) {
    const recent = new RecentEvents(bound);
    for (let i = 0; i < 5 * bound; i += 1) {
      recent.remember(identityOf(i), contentOf(i));
      expect(recent.size).toBeLessThanOrEqual(Math.max(2, bound + 1));
      const oldest = Math.max(0, i + 1 - Math.ceil(bound / 2));
      for (let n = oldest; n <= i; n += 1) expect(recent.contentOf(identityOf(n))).toBe(contentOf(n));
    }
    expect(recent.contentOf(identityOf(0))).toBeUndefined();
  }
});

test('identities that begin alike, or fall into one place, are told apart', () => {
  const recent = new RecentEvents(64);
  const alike = Array.from({ length: 32 }, (_, n) => `00c0ffee${n.toString(16).padStart(24, '0')}`);
  for (const [n, identity] of alike.entries()) recent.remember(identity, contentOf(n));
  for (const [n, identity] of alike.entries()) expect(recent.contentOf(identity)).toBe(contentOf(n));
  expect(recent.contentOf(`00c0ffee${'f'.repeat(24)}`)).toBeUndefined();
  expect(recent.contentOf(`80c0ffee${'0'.repeat(24)}`)).toBeUndefined();
});

test('what was published first under an identity stands', () => {
  const recent = new RecentEvents(10);
  recent.remember(identityOf(1), contentOf(1));
  recent.remember(identityOf(1), contentOf(2));
  expect(recent.contentOf(identityOf(1))).toBe(contentOf(1));
});
