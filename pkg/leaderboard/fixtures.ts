import type { Aggregate, Board, BoardWindow, GameDefinition, WindowKind } from '../games/port.js';
import type { Clock } from '../kernel/clock.js';
import type { Database } from '../postgres/port.js';
import { testDefinition } from '../testkit/definition.js';
import type { RoleEvent } from '../worker/port.js';
import { fold } from './fold.js';
import { lockScores, saveScores } from './postgres.js';

export const NOON_MS = Date.UTC(2026, 10, 20, 12);

const windowOf = (kind: WindowKind): BoardWindow => ({ kind, timeZone: 'UTC', resetHour: 0 });

/** A board of `progression.deltaXp` per day. */
export function testBoard(overrides: Partial<Board> = {}): Board {
  const aggregate: Aggregate = overrides.aggregate ?? 'sum';
  return {
    name: 'xp',
    eventType: 'progression',
    aggregate,
    order: aggregate === 'min' ? 'asc' : 'desc',
    valueField: 'deltaXp',
    subjectField: null,
    partitionField: null,
    filter: new Map(),
    windows: [windowOf('daily')],
    isPublic: true,
    ...overrides,
  };
}

export const definitionWith = (gameId: string, ...boards: readonly Board[]): GameDefinition =>
  testDefinition({ gameId, boards: new Map(boards.map((board) => [board.name, board])) });

/** What dispatch does with new events, without inbox and refresh. */
export async function commitBatch(db: Database, events: readonly RoleEvent[]): Promise<void> {
  await db.transaction(async (sql) => saveScores(sql, fold(await lockScores(sql, events), events)));
}

/** A clock that a test sets. Sleeping ends only by the signal. */
export function handClock(startMs: number): Clock & { set(ms: number): void } {
  let nowMs = startMs;
  return {
    now: () => nowMs,
    monotonicMs: () => nowMs,
    sleep: (_ms, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted === true) resolve();
        signal?.addEventListener('abort', () => resolve(), { once: true });
      }),
    set: (ms) => {
      nowMs = ms;
    },
  };
}
