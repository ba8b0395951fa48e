import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isInstantText, pageOf, readCursor, type CursorKey, type Page } from './keyset-page.js';

const anyText = (): boolean => true;

/** What a list answers: the rows behind the cursor, one more than asked for. */
function listed(rows: readonly CursorKey[], limit: number, cursor: string | null): Page<CursorKey> {
  const after = readCursor(cursor, [anyText, anyText]);
  const behind = after === null ? rows : rows.filter((row) => compared(row, after) > 0);
  const same = (row: CursorKey): CursorKey => row;
  return pageOf(behind.slice(0, limit + 1), limit, same, same);
}

const compared = (one: CursorKey, other: CursorKey): number =>
  one[0] === other[0] ? order(one[1], other[1]) : order(one[0], other[0]);
const order = (one: string, other: string): number => (one < other ? -1 : one > other ? 1 : 0);

const keys = fc.uniqueArray(
  fc.tuple(fc.constantFrom('a', 'b', ''), fc.string({ unit: 'grapheme', maxLength: 6 })),
  { maxLength: 30, selector: (key) => JSON.stringify(key) },
);

test('page after page shows each row once and in order, whatever the texts of its key, and then ends', () => {
  fc.assert(
    fc.property(keys, fc.integer({ min: 1, max: 10 }), (some, limit) => {
      const rows = [...some].sort(compared);
      const shown: CursorKey[] = [];
      let cursor: string | null = null;
      do {
        const page: Page<CursorKey> = listed(rows, limit, cursor);
        expect(page.items.length).toBeLessThanOrEqual(limit);
        shown.push(...page.items);
        cursor = page.nextCursor;
      } while (cursor !== null && shown.length <= rows.length);
      expect(shown).toEqual(rows);
      expect(cursor).toBeNull();
    }),
  );
});

test('whatever is sent as a cursor is a key of the right shape or bad_cursor', () => {
  const inside = fc.jsonValue().map((value) => Buffer.from(JSON.stringify(value)).toString('base64url'));
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.base64String(), inside), (text) => {
      try {
        const key = readCursor(text, [isInstantText, anyText]);
        expect(isInstantText(key?.[0] ?? '')).toBe(true);
      } catch (error) {
        expect(error).toMatchObject({ code: 'bad_cursor' });
      }
    }),
  );
});

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
