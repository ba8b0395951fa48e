import { expect, test } from '@jest/globals';
import { RecentEvents } from './recent-events.js';

test('remembers at least the younger half of its bound and never more than all of it', () => {
  const recent = new RecentEvents(100);
  for (let i = 0; i < 1000; i += 1) {
    recent.remember(`id-${String(i)}`, `hash-${String(i)}`);
    expect(recent.size).toBeLessThanOrEqual(100);
  }
  for (let i = 950; i < 1000; i += 1) expect(recent.contentOf(`id-${String(i)}`)).toBe(`hash-${String(i)}`);
  expect(recent.contentOf('id-0')).toBeUndefined();
});
