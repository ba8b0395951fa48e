import type {
  Board,
  BoardWindow,
  Cycle,
  DefinitionSource,
  GameDefinition,
  WindowKind,
} from '../games/port.js';
import type { Clock } from '../kernel/clock.js';
import { FairtallyError, OutageError } from '../kernel/errors.js';
import type {
  BoardKey,
  BoardQuestion,
  BoardReader,
  BoardRows,
  BoardSlice,
  BoardState,
  BoardViewReader,
  CycleRecord,
} from '../leaderboard/port.js';
import { decodePlace, encodePlace } from './cursor.js';
import { SingleFlight } from './single-flight.js';

export interface BoardRequest {
  readonly gameId: string;
  readonly board: string;
  /** The board's first window unless given. */
  readonly window?: string;
  /** The name of a cycle, `2026-11-20`; the current one unless given. */
  readonly cycle?: string;
  readonly partition?: string;
  /** Of a closed cycle: the rows that went on counting, instead of the final ones. */
  readonly revised?: boolean;
}

export interface BoardEntry {
  readonly rank: number;
  readonly playerId: string;
  readonly score: number;
  /** RFC 3339, UTC, milliseconds; as all times here. */
  readonly reachedAt: string;
}

export interface BoardAnswer {
  readonly board: string;
  readonly window: WindowKind;
  readonly cycle: string;
  /** The season's name when the window is seasonal. */
  readonly season: string | null;
  readonly partition: string;
  readonly state: BoardState;
  /** Served from what is known to be behind, or while the view is away. */
  readonly stale: boolean;
  /** Ranked subjects, hidden players left out. */
  readonly total: number;
  /** null: nothing has counted yet. */
  readonly updatedAt: string | null;
  /** null for all-time and for cycles that are over. */
  readonly nextResetAt: string | null;
  readonly entries: readonly BoardEntry[];
  readonly nextCursor: string | null;
}

/**
 * Boards as clients read them. All reject with FairtallyError: `not_found` (board, window or cycle), `invalid_parameter`,
 * `invalid_cursor`, `definition_unavailable`; and with OutageError when neither view nor truth nor a remembered answer
 * can be had.
 */
export interface BoardQueries {
  /** The best, or the page after a cursor. limit 1..1000, default 100. */
  top(request: BoardRequest & { readonly limit?: number; readonly cursor?: string }): Promise<BoardAnswer>;
  /** The neighbourhood of a player; no entries when the player has no place. limit 1..1000, default 11. */
  around(
    request: BoardRequest & { readonly playerId: string; readonly limit?: number },
  ): Promise<BoardAnswer>;
  /** The places of 1..100 players, best first. */
  players(request: BoardRequest & { readonly playerIds: readonly string[] }): Promise<BoardAnswer>;
}

export interface BoardQueriesOptions {
  readonly definitions: Pick<DefinitionSource, 'inForce'>;
  readonly reader: BoardReader;
  /** null: there is no view, boards are read from the truth. */
  readonly view: BoardViewReader | null;
  readonly clock: Clock;
}

const LIMIT_MAX = 1_000;
const TOP_DEFAULT = 100;
const AROUND_DEFAULT = 11;
const PLAYERS_MAX = 100;
const FRESH_MS = 1_000;
/** Who knows an old answer waits no longer for a new one. */
const OLD_AFTER_MS = 2_000;
const CYCLES_REMEMBERED = 10_000;
const SLICES_REMEMBERED = 200;
const PARTITION_MAX_LENGTH = 256;
const CYCLE_NAME = /^[A-Za-z0-9_.-]{1,64}$/;

interface Target {
  readonly key: BoardKey;
  readonly board: Board;
  readonly window: BoardWindow;
  readonly cycleName: string;
  /** null when another cycle than the current one is read. */
  readonly current: Cycle | null;
}

/** A value, and whether it is an old one because the truth cannot be reached. */
interface Known<T> {
  readonly value: T;
  readonly isOld: boolean;
}

export function createBoardQueries(options: BoardQueriesOptions): BoardQueries {
  const { clock } = options;
  const cycles = new SingleFlight<CycleRecord | null>({
    clock,
    ttlMs: FRESH_MS,
    entriesMax: CYCLES_REMEMBERED,
  });
  const slices = new SingleFlight<BoardSlice>({ clock, ttlMs: FRESH_MS, entriesMax: SLICES_REMEMBERED });

  const ask = async (request: BoardRequest, question: BoardQuestion): Promise<BoardAnswer> => {
    const nowMs = clock.now();
    const target = targetOf(request, await definitionOf(options, request.gameId, nowMs), nowMs);
    const cycle = await remembered(cycles, clock, textOf(target.key), () => options.reader.cycle(target.key));
    if (cycle.value === null) {
      if (target.current === null) throw new FairtallyError('not_found', 'nothing was counted in this cycle');
      return answerOf(
        target,
        null,
        'live',
        { value: { total: 0, entries: [] }, isOld: cycle.isOld },
        question,
      );
    }
    const { rows, state } = stageOf(cycle.value, request.revised === true, nowMs);
    const slice = await sliceOf(options, slices, target, cycle.value, rows, question);
    return answerOf(target, cycle.value, state, { ...slice, isOld: slice.isOld || cycle.isOld }, question);
  };

  return {
    top: async ({ limit, cursor, ...request }) =>
      ask(request, {
        kind: 'top',
        limit: limitOf(limit, TOP_DEFAULT),
        after: cursor === undefined ? null : decodePlace(cursor),
      }),
    around: async ({ playerId, limit, ...request }) =>
      ask(request, { kind: 'around', subject: subjectOf(playerId), limit: limitOf(limit, AROUND_DEFAULT) }),
    players: async ({ playerIds, ...request }) => {
      if (playerIds.length === 0 || playerIds.length > PLAYERS_MAX) {
        throw new FairtallyError('invalid_parameter', `players takes 1 to ${String(PLAYERS_MAX)} ids`);
      }
      return ask(request, { kind: 'subjects', subjects: [...new Set(playerIds.map(subjectOf))] });
    },
  };
}

async function definitionOf(
  options: BoardQueriesOptions,
  gameId: string,
  nowMs: number,
): Promise<GameDefinition> {
  const definition = await options.definitions.inForce(gameId, nowMs);
  if (definition === null)
    throw new FairtallyError('definition_unavailable', 'the game has no definition in force', true);
  return definition;
}

function targetOf(request: BoardRequest, definition: GameDefinition, nowMs: number): Target {
  const board = definition.boards.get(request.board);
  if (board === undefined) throw new FairtallyError('not_found', 'the game has no such board');
  const window = board.windows.find(({ kind }) => request.window === undefined || kind === request.window);
  if (window === undefined) throw new FairtallyError('not_found', 'the board has no such window');
  const partition = request.partition ?? '';
  if ((board.partitionField === null) !== (partition === '')) {
    throw new FairtallyError(
      'invalid_parameter',
      board.partitionField === null
        ? 'this board is one ranking: leave partition out'
        : `this board has a ranking for each ${board.partitionField}: name one as partition`,
    );
  }
  if (partition.length > PARTITION_MAX_LENGTH || UNFIT.test(partition)) {
    throw new FairtallyError('invalid_parameter', 'the partition cannot be one');
  }
  const now = definition.cycleAt(window, nowMs);
  const cycleName = request.cycle ?? now.name;
  if (!CYCLE_NAME.test(cycleName)) throw new FairtallyError('not_found', 'there is no such cycle');
  const key = { gameId: request.gameId, board: board.name, cycle: `${window.kind}:${cycleName}`, partition };
  return { key, board, window, cycleName, current: cycleName === now.name ? now : null };
}

const UNFIT = /[\p{Surrogate}\u0000]/u;

function subjectOf(playerId: string): string {
  if (playerId !== '' && playerId.length <= PARTITION_MAX_LENGTH && !UNFIT.test(playerId)) return playerId;
  throw new FairtallyError('invalid_parameter', 'a player id does not have its format');
}

function limitOf(limit: number | undefined, otherwise: number): number {
  const value = limit ?? otherwise;
  if (Number.isSafeInteger(value) && value >= 1 && value <= LIMIT_MAX) return value;
  throw new FairtallyError('invalid_parameter', `limit is 1 to ${String(LIMIT_MAX)}`);
}

const textOf = (key: BoardKey): string => JSON.stringify([key.gameId, key.board, key.cycle, key.partition]);

/** Asks once per key at a time; while the truth is away, or takes too long, the last answer stands in. */
async function remembered<T>(
  flights: SingleFlight<T>,
  clock: Clock,
  key: string,
  fetch: () => Promise<T>,
): Promise<Known<T>> {
  const asked = flights.get(key, fetch).then((value): Known<T> => ({ value, isOld: false }));
  const last = flights.last(key);
  if (last === undefined) return asked;
  const old: Known<T> = { value: last, isOld: true };
  const done = new AbortController();
  try {
    return await Promise.race([asked, clock.sleep(OLD_AFTER_MS, done.signal).then(() => old)]);
  } catch (error) {
    if (error instanceof OutageError) return old;
    throw error;
  } finally {
    done.abort();
  }
}

/** Open cycles are live, then closing; a closed one is final for good, and its later rows are to be asked for. */
function stageOf(
  cycle: CycleRecord,
  wantsRevised: boolean,
  nowMs: number,
): { rows: BoardRows; state: BoardState } {
  if (cycle.finalAtMs !== null) {
    return wantsRevised && cycle.revised
      ? { rows: 'live', state: 'revised' }
      : { rows: 'snapshot', state: 'final' };
  }
  const isOver = cycle.closesAtMs !== null && cycle.closesAtMs <= nowMs;
  return { rows: 'live', state: isOver ? 'closing' : 'live' };
}

async function sliceOf(
  { view, reader, clock }: BoardQueriesOptions,
  slices: SingleFlight<BoardSlice>,
  { key, board }: Target,
  cycle: CycleRecord,
  rows: BoardRows,
  question: BoardQuestion,
): Promise<Known<BoardSlice>> {
  const hasView = view !== null && cycle.finalAtMs === null;
  const seen = hasView ? await view.read(key, board, cycle.epoch, question) : null;
  if (seen !== null && seen !== 'away') return { value: seen, isOld: false };
  const id = `${rows} ${textOf(key)} ${JSON.stringify(question)}`;
  const read = await remembered(slices, clock, id, () => reader.read(key, board, rows, question));
  return { value: read.value, isOld: read.isOld || seen === 'away' };
}

const timeOf = (ms: number): string => new Date(ms).toISOString();

function answerOf(
  { key, window, cycleName, current }: Target,
  cycle: CycleRecord | null,
  state: BoardState,
  slice: Known<BoardSlice>,
  question: BoardQuestion,
): BoardAnswer {
  const { total, entries } = slice.value;
  const last = entries.at(-1);
  const hasMore = question.kind !== 'subjects' && last !== undefined && last.rank < total;
  const updatedAtMs = state === 'final' ? cycle?.finalAtMs : cycle?.updatedAtMs;
  const resetsAtMs = current?.endsAtMs ?? null;
  return {
    board: key.board,
    window: window.kind,
    cycle: cycleName,
    season: window.kind === 'seasonal' ? cycleName : null,
    partition: key.partition,
    state,
    stale: slice.isOld,
    total,
    updatedAt: updatedAtMs === undefined || updatedAtMs === null ? null : timeOf(updatedAtMs),
    nextResetAt: resetsAtMs === null ? null : timeOf(resetsAtMs),
    entries: entries.map(({ rank, subject, score, reachedAtMs }) => ({
      rank,
      playerId: subject,
      score,
      reachedAt: timeOf(reachedAtMs),
    })),
    nextCursor: hasMore ? encodePlace(last) : null,
  };
}
