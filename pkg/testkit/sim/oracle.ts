import type { AdmittedEvent } from '../../contract/event.js';
import type { Aggregate, Board, BoardWindow } from '../../games/port.js';
import { definitionOf, LAUNCH_ENDS_MS, ROLLOVER_MS, WINTER_FROM_MS } from './game.js';

/** What every role should have made of the events that it entered, worked out anew and without any order. */

export interface ExpectedScore {
  readonly score: number;
  readonly reachedAtMs: number;
}

const DAY_MS = 86_400_000;

/** The cycle of an instant, by the published rule: a day of UTC, an ISO week, a season of the event's own version. */
export function cycleOf({ kind }: BoardWindow, tsMs: number, version: number): string {
  const iso = new Date(tsMs).toISOString();
  switch (kind) {
    case 'daily':
      return `daily:${iso.slice(0, 10)}`;
    case 'weekly':
      return `weekly:${weekOf(tsMs)}`;
    case 'all-time':
      return 'all-time:all';
    case 'seasonal':
      if (tsMs < (version === 1 ? ROLLOVER_MS : LAUNCH_ENDS_MS)) return 'seasonal:launch';
      return tsMs < WINTER_FROM_MS ? 'seasonal:after-launch' : 'seasonal:winter';
  }
}

/** ISO 8601: the week of the year that holds its Thursday. */
function weekOf(tsMs: number): string {
  const day = Math.floor(tsMs / DAY_MS);
  const thursday = new Date((day - ((day + 3) % 7) + 3) * DAY_MS);
  const newYear = Date.UTC(thursday.getUTCFullYear(), 0, 1);
  const week = 1 + Math.floor((thursday.getTime() - newYear) / (7 * DAY_MS));
  return `${String(thursday.getUTCFullYear())}-W${String(week).padStart(2, '0')}`;
}

interface Entry {
  readonly value: number;
  readonly event: AdmittedEvent;
}

/** Scores by `game board cycle partition subject`, joined by U+0000. */
export function expectedScores(events: Iterable<AdmittedEvent>): Map<string, ExpectedScore> {
  const entries = new Map<string, { readonly aggregate: Aggregate; readonly list: Entry[] }>();
  for (const event of events) {
    for (const board of definitionOf(event.gameId, event.definitionVersion).boardsFor(event.type)) {
      for (const window of board.windows) {
        const cycle = cycleOf(window, event.tsMs, event.definitionVersion);
        const key = [event.gameId, board.name, cycle, ...placeOf(board, event)].join('\u0000');
        const entry = entries.get(key) ?? { aggregate: board.aggregate, list: [] };
        entries.set(key, entry);
        entry.list.push({ value: valueOf(board, event), event });
      }
    }
  }
  return new Map([...entries].map(([key, { aggregate, list }]) => [key, scoreOf(aggregate, list)]));
}

const textOf = (event: AdmittedEvent, field: string): string => String(event.payload[field]);

const placeOf = (board: Board, event: AdmittedEvent): [string, string] => [
  board.partitionField === null ? '' : textOf(event, board.partitionField),
  board.subjectField === null ? event.playerId : textOf(event, board.subjectField),
];

const valueOf = (board: Board, event: AdmittedEvent): number =>
  board.valueField === null ? 1 : Number(event.payload[board.valueField]);

/** Ties go to the event's own time, as docs/leaderboards.md says. */
function scoreOf(aggregate: Aggregate, list: readonly Entry[]): ExpectedScore {
  const times = (entries: readonly Entry[]): number[] => entries.map(({ event }) => event.tsMs);
  const values = list.map(({ value }) => value);
  switch (aggregate) {
    case 'sum': {
      const counted = list.filter(({ value }) => value !== 0);
      const reachedAtMs = counted.length > 0 ? Math.max(...times(counted)) : Math.min(...times(list));
      return { score: values.reduce((sum, value) => sum + value, 0), reachedAtMs };
    }
    case 'best':
    case 'min': {
      const score = aggregate === 'best' ? Math.max(...values) : Math.min(...values);
      return { score, reachedAtMs: Math.min(...times(list.filter(({ value }) => value === score))) };
    }
    case 'last': {
      const isLater = (a: Entry, b: Entry): boolean =>
        a.event.tsMs > b.event.tsMs || (a.event.tsMs === b.event.tsMs && a.event.id > b.event.id);
      const last = list.reduce((best, entry) => (isLater(entry, best) ? entry : best));
      return { score: last.value, reachedAtMs: last.event.tsMs };
    }
  }
}

export interface ExpectedProgress {
  totalXp: number;
  level: number;
  definitionVersion: number;
  /** Grant keys. */
  readonly grants: Set<string>;
}

const PROGRESSION_TYPES = new Set(['progression', 'boss_kill', 'drop_claimed']);

/** Progress by `game player`, joined by U+0000. */
export function expectedProgress(events: Iterable<AdmittedEvent>): Map<string, ExpectedProgress> {
  const players = new Map<string, ExpectedProgress>();
  for (const event of events) {
    if (!PROGRESSION_TYPES.has(event.type)) continue;
    const key = `${event.gameId}\u0000${event.playerId}`;
    const player = players.get(key) ?? { totalXp: 0, level: 1, definitionVersion: 0, grants: new Set() };
    players.set(key, player);
    player.definitionVersion = Math.max(player.definitionVersion, event.definitionVersion);
    if (event.type === 'progression') player.totalXp += Number(event.payload['deltaXp']);
    if (event.type === 'boss_kill') player.grants.add(`boss:${textOf(event, 'bossId')}:trophy`);
    if (event.type === 'drop_claimed') player.grants.add(`drop:${textOf(event, 'dropId')}`);
  }
  for (const player of players.values()) {
    const divisor = player.definitionVersion === 1 ? 100 : 60;
    player.level = Math.min(30, Math.floor(Math.sqrt(player.totalXp / divisor)) + 1);
    // The second curve lies above the first, so every level up to the last was passed on the way.
    for (let level = 2; level <= player.level; level += 1) player.grants.add(`level:${String(level)}:coins`);
  }
  return players;
}
