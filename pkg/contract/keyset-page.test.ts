import { expect, test } from '@jest/globals';
import { isInstantText } from './keyset-page.js';

test('an instant of a cursor is one that PostgreSQL could have written, so a forged one never reaches it', () => {
  for (const text of ['2026-11-20 08:57:01.123456+00', '2024-02-29 00:00:00+00', '2026-11-20 23:59:59+05:30'])
    expect(isInstantText(text)).toBe(true);
  for (const text of [
    '',
    '2026-13-01 00:00:00+00',
    '2026-02-30 00:00:00+00',
    '2026-11-20 25:00:00+00',
    '2026-11-20 10:60:00+00',
    '2026-11-20 10:00:00+99',
    '0000-01-01 00:00:00+00',
    '2026-11-20T10:00:00Z',
  ])
    expect(isInstantText(text)).toBe(false);
});
