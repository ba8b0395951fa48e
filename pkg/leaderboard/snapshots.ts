import type { Lag } from '../bus/port.js';
import type { Board, DefinitionSource, GameDefinition } from '../games/port.js';
import type { Clock } from '../kernel/clock.js';
import type { RoleName } from '../kernel/roles.js';
import type { Logger } from '../runtime/port.js';
import type { BoardKey } from './port.js';

export interface DueCycle {
  readonly key: BoardKey;
  readonly closesAtMs: number;
  readonly definitionVersion: number;
}

export interface SnapshotStore {
  /** The database's clock, UTC ms: the one clock of closing, whatever the clocks of workers say. */
  now(): Promise<number>;
  /** Cycles over and not final, the oldest first. */
  due(nowMs: number, after: DueCycle | null, limit: number): Promise<readonly DueCycle[]>;
  /** Writes the snapshot, numbered in the order of the board, and final_at in one transaction; false when somebody else had, or had moved the end. */
  close(cycle: DueCycle, order: Board['order'], nowMs: number): Promise<boolean>;
  /** Sets another end; null: never. Does nothing to a cycle that is final or whose end is another meanwhile. */
  moveEnd(cycle: DueCycle, closesAtMs: number | null): Promise<void>;
}

export interface SnapshotOptions {
  readonly store: SnapshotStore;
  readonly definitions: Pick<DefinitionSource, 'inForce' | 'version'>;
  /** Every role that runs on this bus. */
  readonly roles: readonly RoleName[];
  readonly lag: (role: RoleName) => Promise<Lag>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly intervalMs?: number;
}

const INTERVAL_MS = 10_000;
const PAGE = 500;
/** Cycles that the log names of one run: the first start closes those of a whole season at once. */
const NAMED_MAX = 3;
/** Cycles looked through for one name: a game has at most 200 named seasons, with gaps between them. */
const CYCLES_AHEAD = 500;

/** Closes cycles until `signal` aborts. Any number of processes may do so at once. */
export async function runSnapshots(options: SnapshotOptions, signal: AbortSignal): Promise<void> {
  const { clock, log, intervalMs = INTERVAL_MS } = options;
  while (!signal.aborted) {
    await closeCycles(options).catch((error: unknown) => {
      log.warn({ err: error }, 'cycles could not be closed');
    });
    await clock.sleep(intervalMs, signal);
  }
}

/**
 * Closes every cycle whose grace has passed and before whose end of grace no event waits for any role. Answers the
 * cycles closed by this call.
 *
 * The definition in force now rules: its grace, and its end of the cycle of that name where it is later than the one that
 * is stored (a season was prolonged, a reset put off). An end that it moved forward is left as it was: waiting longer
 * costs nothing, a final ranking is for good. The clock is the database's alone.
 */
export async function closeCycles(options: SnapshotOptions): Promise<number> {
  const { store, log } = options;
  const nowMs = await store.now();
  // Asked before the scores are read: what was settled then is committed.
  const settledUntilMs = await settledUntil(options, nowMs);
  let closed = 0;
  let newest: readonly string[] = [];
  let after: DueCycle | null = null;
  for (;;) {
    const page: readonly DueCycle[] = await store.due(nowMs, after, PAGE);
    for (const cycle of page) {
      const definition = await definitionOf(options, cycle, nowMs);
      const graceEndsAtMs = cycle.closesAtMs + definition.graceMs;
      if (graceEndsAtMs >= nowMs || graceEndsAtMs > settledUntilMs) continue;
      const laterEnd = laterEndOf(definition, cycle);
      if (laterEnd !== undefined) {
        await store.moveEnd(cycle, laterEnd);
        log.info({ ...cycle.key, closesAtMs: laterEnd }, 'a cycle ends later by the definition in force');
      } else if (await store.close(cycle, await orderOf(options, cycle, definition), nowMs)) {
        closed += 1;
        log.debug({ ...cycle.key }, 'a cycle is final');
        newest = [...newest, nameOf(cycle)].slice(-NAMED_MAX); // the oldest are due first
      }
    }
    after = page.at(-1) ?? null;
    if (after === null) break;
  }
  if (closed > 0) log.info({ closed, newest }, 'cycles are final');
  return closed;
}

const nameOf = ({ key: { gameId, board, partition, cycle } }: DueCycle): string =>
  [gameId, board, partition, cycle].filter((part) => part !== '').join(' ');

const definitionOf = async (
  { definitions }: SnapshotOptions,
  { key, definitionVersion }: DueCycle,
  nowMs: number,
): Promise<GameDefinition> =>
  (await definitions.inForce(key.gameId, nowMs)) ?? definitions.version(key.gameId, definitionVersion);

/** A board keeps its order for good. One that the definition no longer has had it when its cycle began. */
async function orderOf(
  { definitions }: SnapshotOptions,
  { key, definitionVersion }: DueCycle,
  definition: GameDefinition,
): Promise<Board['order']> {
  const has = definition.boards.has(key.board)
    ? definition
    : await definitions.version(key.gameId, definitionVersion);
  const board = has.boards.get(key.board);
  if (board === undefined) throw new Error(`version ${String(definitionVersion)} has no board ${key.board}`);
  return board.order;
}

/** When the cycle of this name ends if that is later than its stored end, null for never; undefined otherwise. */
function laterEndOf(definition: GameDefinition, { key, closesAtMs }: DueCycle): number | null | undefined {
  const windows = definition.boards.get(key.board)?.windows ?? [];
  const window = windows.find(({ kind }) => key.cycle.startsWith(`${kind}:`));
  if (window === undefined) return undefined; // no such board any more: it ends as it stands
  let cycle = definition.cycleAt(window, closesAtMs - 1);
  for (let looked = 0; looked < CYCLES_AHEAD; looked += 1) {
    const { endsAtMs } = cycle;
    if (cycle.key === key.cycle) return endsAtMs === null || endsAtMs > closesAtMs ? endsAtMs : undefined;
    if (endsAtMs === null) return undefined;
    cycle = definition.cycleAt(window, endsAtMs);
  }
  return undefined;
}

/** Everything published before this instant is settled by every role. */
async function settledUntil({ roles, lag }: SnapshotOptions, nowMs: number): Promise<number> {
  const lags = await Promise.all(roles.map((role) => lag(role)));
  const oldest = lags.map(({ waiting, oldestPublishedAtMs }) => {
    if (oldestPublishedAtMs !== null) return oldestPublishedAtMs;
    return waiting === 0 ? nowMs : -Infinity; // something waits and nobody knows since when
  });
  return Math.min(nowMs, ...oldest);
}
