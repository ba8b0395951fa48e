import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { LAST_TS_MS, parseTimestamp } from './timestamp.js';

describe('the time of an event', () => {
  test.each([
    [1795176000, 1795176000000],
    [1795176000.25, 1795176000250],
    [1795176000.001, 1795176000001],
    [1795176000.0004, 1795176000000],
    [1795176000.0006, 1795176000001],
    [1795176000250, 1795176000250],
    [1795176000250.6, 1795176000251],
    [99_999_999_999, 99_999_999_999_000],
    [100_000_000_000, 100_000_000_000],
    [0, 0],
    [LAST_TS_MS, LAST_TS_MS],
    ['2026-11-20T12:00:00Z', 1795176000000],
    ['2026-11-20t12:00:00.25z', 1795176000250],
    ['2026-11-20T13:30:00.2504+01:30', 1795176000250],
    ['2026-11-20T13:30:00.2505+01:30', 1795176000251],
    ['2026-11-20T07:00:00.999999999-05:00', 1795176001000],
    ['2026-11-20T12:00:00-00:00', 1795176000000],
    ['1970-01-01T00:00:00Z', 0],
    ['1970-01-01T01:00:00+01:00', 0],
    ['9999-12-31T23:59:59.999Z', LAST_TS_MS],
  ])('%p is read as %p ms', (value, tsMs) => {
    expect(parseTimestamp(value)).toBe(tsMs);
  });

  test.each(['2024-02-29T00:00:00Z', '2000-02-29T00:00:00Z', '2028-02-29T23:59:59Z'])(
    'row 55: the leap day %s is read',
    (text) => {
      expect(parseTimestamp(text)).toBe(Date.parse(text));
    },
  );

  test.each([
    '2026-02-30T00:00:00Z',
    '2026-02-29T00:00:00Z',
    '2100-02-29T00:00:00Z',
    '2026-04-31T00:00:00Z',
    '2026-12-31T23:59:60Z',
    '2016-12-31T23:59:60Z',
    '2026-11-20T24:00:00Z',
    '2026-11-20T12:60:00Z',
    '2026-00-20T12:00:00Z',
    '2026-13-20T12:00:00Z',
    '2026-11-00T12:00:00Z',
    '2026-11-20T12:00:00+24:00',
    '2026-11-20T12:00:00+01:60',
  ])('row 55: %s does not exist and is refused', (text) => {
    expect(parseTimestamp(text)).toBeNull();
  });

  test.each([
    '',
    '1795176000',
    '2026-11-20',
    '2026-11-20T12:00:00',
    '2026-11-20 12:00:00Z',
    '2026-11-20T12:00Z',
    '2026-11-20T12:00:00.Z',
    '2026-11-20T12:00:00,5Z',
    '2026-11-20T12:00:00+0100',
    '20261120T120000Z',
    ' 2026-11-20T12:00:00Z',
    '2026-11-20T12:00:00Z\n',
    '+002026-11-20T12:00:00Z',
    '２026-11-20T12:00:00Z',
    '1969-12-31T23:59:59Z',
    '0000-01-01T00:00:00Z',
    '1970-01-01T00:00:00+00:01',
    '9999-12-31T23:59:59.9999Z',
    '9999-12-31T23:59:59-00:01',
    -1,
    LAST_TS_MS + 1,
    NaN,
    Infinity,
    null,
    undefined,
    true,
    {},
    [1795176000],
  ])('%p is no time', (value) => {
    expect(parseTimestamp(value)).toBeNull();
  });

  test('one instant is one number, in whichever of the three ways it is written', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1e11, max: 4e12 }), (tsMs) => {
        expect(parseTimestamp(tsMs)).toBe(tsMs);
        expect(parseTimestamp(tsMs / 1000)).toBe(tsMs);
        expect(parseTimestamp(new Date(tsMs).toISOString())).toBe(tsMs);
      }),
    );
  });

  test('row 55: a day is read if and only if the calendar has it, leap days included, at any offset', () => {
    const two = (n: number): string => String(n).padStart(2, '0');
    const calendar = { year: fc.integer({ min: 1971, max: 9998 }), month: fc.nat(13), day: fc.nat(32) };
    const time = {
      hour: fc.nat(24),
      minute: fc.nat(60),
      second: fc.nat(60),
      offset: fc.integer({ min: -1439, max: 1439 }),
    };
    fc.assert(
      fc.property(
        fc.record({ ...calendar, ...time }),
        ({ year, month, day, hour, minute, second, offset }) => {
          const away = Math.abs(offset);
          const zone = `${offset < 0 ? '-' : '+'}${two(Math.floor(away / 60))}:${two(away % 60)}`;
          const text = `${String(year)}-${two(month)}-${two(day)}T${two(hour)}:${two(minute)}:${two(second)}${zone}`;
          const date = new Date(Date.UTC(year, month - 1, day, hour, minute, second));
          const isReal =
            date.getUTCMonth() === month - 1 &&
            date.getUTCDate() === day &&
            date.getUTCHours() === hour &&
            date.getUTCMinutes() === minute &&
            date.getUTCSeconds() === second;
          expect(parseTimestamp(text)).toBe(isReal ? date.getTime() - offset * 60_000 : null);
        },
      ),
      { numRuns: 1_000 },
    );
  });
});
