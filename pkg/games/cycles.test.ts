import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createCycles } from './cycles.js';
import type { Board, BoardWindow, Cycle, WindowKind } from './port.js';

const window = (kind: WindowKind, timeZone = 'UTC', resetHour = 0): BoardWindow => ({
  kind,
  timeZone,
  resetHour,
});
const at = (text: string): number => Date.parse(text);
const iso = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());
const HOUR_MS = 3_600_000;

const cycles = createCycles([]);
const nameAt = (where: BoardWindow, text: string): string => cycles.cycleAt(where, at(text)).name;
const hoursOf = (cycle: Cycle): number => ((cycle.endsAtMs ?? NaN) - (cycle.startsAtMs ?? NaN)) / HOUR_MS;

describe('row 57: ISO weeks', () => {
  test.each([
    ['2026-12-28', '2026-W53'],
    ['2026-12-31', '2026-W53'],
    ['2027-01-01', '2026-W53'],
    ['2027-01-03', '2026-W53'],
    ['2027-01-04', '2027-W01'],
    ['2024-12-29', '2024-W52'],
    ['2024-12-30', '2025-W01'],
    ['2021-01-03', '2020-W53'],
    ['2023-01-01', '2022-W52'],
    ['2026-11-20', '2026-W47'],
  ])('%s is in %s', (day, week) => {
    expect(nameAt(window('weekly'), `${day}T00:00:00Z`)).toBe(week);
    expect(nameAt(window('weekly'), `${day}T23:59:59.999Z`)).toBe(week);
  });

  test('the first week of any year is the one with January 4th, and weeks are counted from it', () => {
    const DAY_MS = 24 * HOUR_MS;
    /** Monday of the week that holds January 4th. */
    const firstMonday = (year: number): number => {
      const january4 = Date.UTC(year, 0, 4);
      return january4 - ((new Date(january4).getUTCDay() + 6) % 7) * DAY_MS;
    };
    const years = fc.integer({ min: 1970, max: 2399 });
    fc.assert(
      fc.property(years, fc.nat(52), fc.nat(7 * DAY_MS - 1), (year, weeks, restMs) => {
        const ts = firstMonday(year) + weeks * 7 * DAY_MS + restMs;
        fc.pre(ts < firstMonday(year + 1));
        const name = `${String(year)}-W${String(weeks + 1).padStart(2, '0')}`;
        expect(cycles.cycleAt(window('weekly'), ts).name).toBe(name);
      }),
      { numRuns: 300 },
    );
  });

  test('a week begins on Monday at the reset hour', () => {
    const week = cycles.cycleAt(window('weekly', 'UTC', 5), at('2026-11-16T05:00:00Z'));
    expect([week.name, iso(week.startsAtMs), iso(week.endsAtMs)]).toEqual([
      '2026-W47',
      '2026-11-16T05:00:00.000Z',
      '2026-11-23T05:00:00.000Z',
    ]);
    expect(nameAt(window('weekly', 'UTC', 5), '2026-11-16T04:59:59.999Z')).toBe('2026-W46');
  });
});

describe('row 56: a day begins once, whatever the clocks do', () => {
  test.each([
    ['Europe/Berlin', 0, '2026-03-29', 23, '2026-03-28T23:00:00.000Z'],
    ['Europe/Berlin', 0, '2026-10-25', 25, '2026-10-24T22:00:00.000Z'],
    // 02:00 is skipped in spring (the day begins at 03:00) and comes twice in autumn (it begins the first time).
    ['Europe/Berlin', 2, '2026-03-29', 23, '2026-03-29T01:00:00.000Z'],
    ['Europe/Berlin', 2, '2026-10-25', 25, '2026-10-25T00:00:00.000Z'],
    ['America/New_York', 0, '2026-03-08', 23, '2026-03-08T05:00:00.000Z'],
    ['America/New_York', 0, '2026-11-01', 25, '2026-11-01T04:00:00.000Z'],
    ['America/New_York', 1, '2026-11-01', 25, '2026-11-01T05:00:00.000Z'],
    ['Australia/Lord_Howe', 0, '2026-10-04', 23.5, '2026-10-03T13:30:00.000Z'],
    ['Australia/Lord_Howe', 0, '2026-04-05', 24.5, '2026-04-04T13:00:00.000Z'],
    ['Asia/Kathmandu', 0, '2026-11-20', 24, '2026-11-19T18:15:00.000Z'],
    // Clocks there go back from midnight to 23:00, so that 23:30 comes twice within one day.
    ['America/Asuncion', 0, '2024-03-23', 25, '2024-03-23T03:00:00.000Z'],
    // And forward from midnight to 01:00.
    ['America/Asuncion', 0, '2024-10-06', 23, '2024-10-06T04:00:00.000Z'],
    ['UTC', 0, '2028-02-29', 24, '2028-02-29T00:00:00.000Z'],
  ])('%s at %i o’clock: %s has %f hours', (timeZone, resetHour, name, hours, start) => {
    const daily = window('daily', timeZone, resetHour);
    const day = cycles.cycleAt(daily, at(start));
    expect([day.name, hoursOf(day), iso(day.startsAtMs)]).toEqual([name, hours, start]);
    expect(cycles.cycleAt(daily, (day.endsAtMs ?? 0) - 1).name).toBe(name);
    expect(cycles.cycleAt(daily, at(start) - 1).name).not.toBe(name);
  });

  test('a day that a whole island skipped is nobody’s cycle', () => {
    const apia = window('daily', 'Pacific/Apia');
    expect(nameAt(apia, '2011-12-30T09:59:59.999Z')).toBe('2011-12-29');
    expect(nameAt(apia, '2011-12-30T10:00:00.000Z')).toBe('2011-12-31');
  });
});

const ZONES = [
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  'Australia/Lord_Howe',
  'Asia/Kathmandu',
  'Pacific/Apia',
  'America/Asuncion',
];
const anyWindow = fc.record({
  kind: fc.constantFrom<WindowKind>('daily', 'weekly', 'seasonal', 'all-time'),
  timeZone: fc.constantFrom(...ZONES),
  resetHour: fc.integer({ min: 0, max: 23 }),
});
const anyInstant = fc.integer({ min: at('1975-01-01T00:00:00Z'), max: at('2099-12-31T00:00:00Z') });

describe('every instant is in exactly one cycle', () => {
  const seasons = [
    { name: 'first', startsAtMs: at('2026-01-10T09:00:00Z'), endsAtMs: at('2026-03-01T09:00:00Z') },
    { name: 'second', startsAtMs: at('2026-03-01T09:00:00Z'), endsAtMs: at('2026-06-01T00:00:00Z') },
    { name: 'third', startsAtMs: at('2026-09-01T00:00:00Z'), endsAtMs: at('2026-12-01T00:00:00Z') },
  ];

  test.each([
    ['calendar', createCycles([])],
    ['named seasons', createCycles(seasons)],
  ])('and the cycles tile time: %s', (_name, { cycleAt }) => {
    fc.assert(
      fc.property(anyWindow, anyInstant, (where, ts) => {
        const cycle = cycleAt(where, ts);
        const { startsAtMs, endsAtMs } = cycle;
        expect(startsAtMs === null || startsAtMs <= ts).toBe(true);
        expect(endsAtMs === null || ts < endsAtMs).toBe(true);
        if (startsAtMs !== null) {
          expect(cycleAt(where, startsAtMs)).toEqual(cycle);
          expect(cycleAt(where, startsAtMs - 1).endsAtMs).toBe(startsAtMs);
        }
        if (endsAtMs !== null) {
          expect(cycleAt(where, endsAtMs - 1)).toEqual(cycle);
          expect(cycleAt(where, endsAtMs).startsAtMs).toBe(endsAtMs);
          expect(cycleAt(where, endsAtMs).key).not.toBe(cycle.key);
        }
      }),
      { numRuns: 400 },
    );
  });

  test('a day that begins at midnight has the date on the clocks of its zone', () => {
    const clocks = new Map(
      ZONES.map((timeZone) => {
        const shown = { timeZone, year: 'numeric', month: '2-digit', day: '2-digit' } as const;
        return [timeZone, new Intl.DateTimeFormat('en-CA', shown)] as const;
      }),
    );
    fc.assert(
      fc.property(fc.constantFrom(...ZONES), anyInstant, (zone, ts) => {
        expect(cycles.cycleAt(window('daily', zone), ts).name).toBe(clocks.get(zone)?.format(ts));
      }),
      { numRuns: 300 },
    );
  });

  test('whether or not it is remembered from before', () => {
    const warm = createCycles([]);
    fc.assert(
      fc.property(
        fc.constantFrom(...ZONES.map((zone) => window('daily', zone, 2))),
        anyInstant,
        (where, ts) => {
          expect(warm.cycleAt(where, ts)).toEqual(createCycles([]).cycleAt(where, ts));
        },
      ),
    );
  });
});

describe('row 58: a season turns at its instant', () => {
  const named = createCycles([
    { name: 'launch', startsAtMs: at('2026-10-01T18:00:00Z'), endsAtMs: at('2026-12-01T18:00:00Z') },
  ]);
  const seasonal = window('seasonal', 'Europe/Berlin', 4);

  test('to the millisecond, and what lies around has a name too', () => {
    const name = (text: string): string => named.cycleAt(seasonal, at(text)).name;
    expect(name('2026-10-01T17:59:59.999Z')).toBe('before-launch');
    expect(name('2026-10-01T18:00:00.000Z')).toBe('launch');
    expect(name('2026-12-01T17:59:59.999Z')).toBe('launch');
    expect(name('2026-12-01T18:00:00.000Z')).toBe('after-launch');
  });

  test('each event of a batch goes by its own time', () => {
    const board: Board = {
      name: 'xp',
      eventType: 'progression',
      aggregate: 'sum',
      order: 'desc',
      valueField: 'deltaXp',
      subjectField: null,
      partitionField: null,
      filter: new Map(),
      windows: [window('seasonal'), window('daily'), window('all-time')],
      isPublic: true,
    };
    const turn = at('2027-01-01T00:00:00Z');
    const keys = [turn - 1, turn, turn + 1, turn - 1].map((ts) =>
      cycles.cyclesOf(board, ts).map((cycle) => cycle.key),
    );
    const before = ['seasonal:2026-Q4', 'daily:2026-12-31', 'all-time:all'];
    const after = ['seasonal:2027-Q1', 'daily:2027-01-01', 'all-time:all'];
    expect(keys).toEqual([before, after, after, before]);
    expect(cycles.cyclesOf(board, turn)).toBe(cycles.cyclesOf(board, turn + HOUR_MS));
  });

  test('without named seasons it is the calendar quarter of the window’s zone', () => {
    expect(nameAt(seasonal, '2026-10-01T01:59:59.999Z')).toBe('2026-Q3');
    const quarter = cycles.cycleAt(seasonal, at('2026-10-01T02:00:00Z'));
    expect([quarter.key, iso(quarter.endsAtMs)]).toEqual(['seasonal:2026-Q4', '2027-01-01T03:00:00.000Z']);
  });
});
