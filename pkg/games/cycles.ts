import type { Board, BoardWindow, Cycle, WindowKind } from './port.js';
import { offsetMs, startOfLocalTime } from './zone.js';

export interface Season {
  readonly name: string;
  /** Half-open: `startsAtMs` belongs to the season, `endsAtMs` to what follows. */
  readonly startsAtMs: number;
  readonly endsAtMs: number;
}

export interface Cycles {
  /** The cycle of a window that holds an instant: exactly one, whatever the instant. */
  cycleAt(window: BoardWindow, tsMs: number): Cycle;
  /** One cycle per window of the board. The same array as long as no window of it turns. */
  cyclesOf(board: Board, tsMs: number): readonly Cycle[];
}

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
/** Time zones turn at whole quarters of an hour, so nearly every slot lies in one cycle. */
const SLOT_MS = 900_000;
const MAX_SLOTS = 4096;

const ALL_TIME: Cycle = {
  key: 'all-time:all',
  kind: 'all-time',
  name: 'all',
  startsAtMs: null,
  endsAtMs: null,
};

/**
 * The windows of a game. `seasons` are sorted and do not overlap; without any, seasons are calendar quarters of the
 * window's own time zone. What lies between named seasons is a cycle too (`after-<season>`, `before-<first season>`),
 * so that every instant has its place.
 */
export function createCycles(seasons: readonly Season[]): Cycles {
  const named = seasons.length === 0 ? null : tileSeasons(seasons);
  const find = (window: BoardWindow, tsMs: number): Cycle => {
    if (window.kind === 'all-time') return ALL_TIME;
    if (window.kind === 'seasonal' && named !== null) return holding(named, tsMs);
    return calendarCycle(window, tsMs);
  };
  const ofWindow = new WeakMap<BoardWindow, (tsMs: number) => Cycle>();
  const cycleAt = (window: BoardWindow, tsMs: number): Cycle => {
    let cached = ofWindow.get(window);
    if (cached === undefined) {
      cached = cachedBySlot((ts) => find(window, ts));
      ofWindow.set(window, cached);
    }
    return cached(tsMs);
  };
  return { cycleAt, cyclesOf: cachedByBoard(cycleAt) };
}

const holds = (cycle: Cycle, tsMs: number): boolean =>
  (cycle.startsAtMs === null || cycle.startsAtMs <= tsMs) &&
  (cycle.endsAtMs === null || tsMs < cycle.endsAtMs);

/** Remembers the last cycle, and one cycle per quarter of an hour for events that come out of order. */
function cachedBySlot(find: (tsMs: number) => Cycle): (tsMs: number) => Cycle {
  const slots = new Map<number, Cycle>();
  let last: Cycle | null = null;
  return (tsMs) => {
    if (last !== null && holds(last, tsMs)) return last;
    const slot = Math.floor(tsMs / SLOT_MS);
    let cycle = slots.get(slot);
    if (cycle === undefined || !holds(cycle, tsMs)) {
      cycle = find(tsMs);
      if (slots.size >= MAX_SLOTS) slots.clear();
      slots.set(slot, cycle);
    }
    last = cycle;
    return cycle;
  };
}

/** Remembers a board's cycles while none of them turns: the hot path is two comparisons. */
function cachedByBoard(cycleAt: Cycles['cycleAt']): Cycles['cyclesOf'] {
  interface Span {
    readonly fromMs: number;
    readonly untilMs: number;
    readonly cycles: readonly Cycle[];
  }
  const last = new WeakMap<Board, Span>();
  return (board, tsMs) => {
    const span = last.get(board);
    if (span !== undefined && span.fromMs <= tsMs && tsMs < span.untilMs) return span.cycles;
    const cycles = board.windows.map((window) => cycleAt(window, tsMs));
    const fromMs = Math.max(...cycles.map((cycle) => cycle.startsAtMs ?? -Infinity));
    const untilMs = Math.min(...cycles.map((cycle) => cycle.endsAtMs ?? Infinity));
    last.set(board, { fromMs, untilMs, cycles });
    return cycles;
  };
}

/** Named seasons and the gaps before, between and after them, in order: they cover all time. */
function tileSeasons(seasons: readonly Season[]): readonly Cycle[] {
  const tiles: Cycle[] = [];
  const add = (name: string, startsAtMs: number | null, endsAtMs: number | null): void => {
    if (startsAtMs !== endsAtMs)
      tiles.push({ key: `seasonal:${name}`, kind: 'seasonal', name, startsAtMs, endsAtMs });
  };
  seasons.forEach((season, index) => {
    if (index === 0) add(`before-${season.name}`, null, season.startsAtMs);
    add(season.name, season.startsAtMs, season.endsAtMs);
    add(`after-${season.name}`, season.endsAtMs, seasons[index + 1]?.startsAtMs ?? null);
  });
  return tiles;
}

function holding(tiles: readonly Cycle[], tsMs: number): Cycle {
  const found = tiles.find((tile) => holds(tile, tsMs));
  if (found === undefined) throw new RangeError('the seasons do not cover all time');
  return found;
}

type CalendarKind = Exclude<WindowKind, 'all-time'>;

/** A stretch of whole local days, counted from 1970-01-01. */
interface Period {
  readonly name: string;
  readonly firstDay: number;
  readonly nextDay: number;
}

function calendarCycle({ kind, timeZone, resetHour }: BoardWindow, tsMs: number): Cycle {
  if (kind === 'all-time') return ALL_TIME;
  const startOf = (day: number): number => startOfLocalTime(timeZone, day * DAY_MS + resetHour * HOUR_MS);
  // The clock reading may be ambiguous around a change of offset; the starts of days are not.
  let day = Math.floor((tsMs + offsetMs(timeZone, tsMs) - resetHour * HOUR_MS) / DAY_MS);
  while (tsMs < startOf(day)) day -= 1;
  while (tsMs >= startOf(day + 1)) day += 1;
  const { name, firstDay, nextDay } = PERIODS[kind](day);
  return { key: `${kind}:${name}`, kind, name, startsAtMs: startOf(firstDay), endsAtMs: startOf(nextDay) };
}

const PERIODS: Readonly<Record<CalendarKind, (day: number) => Period>> = {
  daily: (day) => ({ name: dateOf(day).toISOString().slice(0, 10), firstDay: day, nextDay: day + 1 }),
  weekly: isoWeek,
  seasonal: calendarQuarter,
};

const dateOf = (day: number): Date => new Date(day * DAY_MS);
const dayOf = (year: number, month: number, date: number): number => Date.UTC(year, month, date) / DAY_MS;

/** ISO 8601: a week begins on Monday and belongs to the year that holds its Thursday. */
function isoWeek(day: number): Period {
  const daysSinceMonday = (dateOf(day).getUTCDay() + 6) % 7;
  const monday = day - daysSinceMonday;
  const thursday = monday + 3;
  const year = dateOf(thursday).getUTCFullYear();
  const week = Math.floor((thursday - dayOf(year, 0, 1)) / 7) + 1;
  return {
    name: `${fourDigits(year)}-W${String(week).padStart(2, '0')}`,
    firstDay: monday,
    nextDay: monday + 7,
  };
}

function calendarQuarter(day: number): Period {
  const year = dateOf(day).getUTCFullYear();
  const quarter = Math.floor(dateOf(day).getUTCMonth() / 3);
  const name = `${fourDigits(year)}-Q${String(quarter + 1)}`;
  return { name, firstDay: dayOf(year, quarter * 3, 1), nextDay: dayOf(year, quarter * 3 + 3, 1) };
}

const fourDigits = (year: number): string => String(year).padStart(4, '0');
