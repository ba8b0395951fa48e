import type { Board, DefinitionSource } from '../games/port.js';
import type { Clock } from '../kernel/clock.js';
import { PoisonError } from '../kernel/errors.js';
import type { Gauge, Logger, Metrics } from '../runtime/port.js';
import type { RoleEvent } from '../worker/port.js';
import { boardId, contributionsOf } from './fold.js';
import type { BoardKey } from './port.js';
import type {
  BoardTruth,
  BoardViewStore,
  CycleScope,
  OpenCycle,
  TruthRow,
  TruthSubject,
  ViewRow,
} from './view-port.js';

export interface BoardViewOptions {
  readonly truth: BoardTruth;
  /** null: boards are read from the truth alone. */
  readonly store: BoardViewStore | null;
  readonly definitions: Pick<DefinitionSource, 'version'>;
  readonly clock: Clock;
  readonly log: Logger;
  /** Where `run` tells how many open cycles have a whole view and how many are behind; nowhere unless given. */
  readonly metrics?: Metrics;
  /** How often views are compared with their epochs. */
  readonly checkIntervalMs?: number;
}

export interface RebuildProgress {
  readonly done: number;
  readonly total: number;
  readonly key: BoardKey;
  /** `busy`: another process built it at the same time. */
  readonly result: BuildResult;
}

export type BuildResult = 'built' | 'busy' | 'failed';

interface Build {
  readonly cycle: OpenCycle;
  readonly board: Board;
}

const BUILD_PAGE_ROWS = 2_000;
const BUILDS_AT_ONCE = 2;
const BUILDS_WAITING_MAX = 10_000;
const CYCLES_PAGE = 1_000;
const REBUILD_CYCLES_MAX = 1_000_000;
const CHECK_INTERVAL_MS = 5_000;
const TOUCH_INTERVAL_MS = 1_000;
const TOUCHED_MAX = 10_000;
/** The view of a closed cycle is kept this long after its last write. */
const KEEP_CLOSED_MS = 8 * 86_400_000;
/** Whoever hid a player may have died before the view knew: those hidden this lately are looked at again. */
const HIDDEN_LATELY_SECONDS = 60;
const HIDDEN_BEFORE_START_SECONDS = 86_400;
const HIDDEN_MAX = 1_000;

/**
 * Keeps the views of boards equal to the truth. A view is used only while its mark is complete and carries the cycle's
 * epoch, so whatever goes wrong here costs speed, never a wrong board.
 */
export class BoardView {
  readonly #options: BoardViewOptions;
  readonly #cycles: Gauge | null;
  readonly #waiting = new Map<string, Build>();
  readonly #building = new Map<string, Promise<unknown>>();
  readonly #touchedAtMs = new Map<string, number>();
  #isFirstCheck = true;

  constructor(options: BoardViewOptions) {
    this.#options = options;
    this.#cycles =
      options.metrics?.gauge('fairtally_view_cycles', 'Open cycles by the state of their view', ['state']) ??
      null;
  }

  /**
   * Brings every (board, partition, cycle, subject) that the events name up to the truth. When the view cannot be
   * reached its cycles are voided in the truth instead.
   *
   * @throws OutageError when the truth cannot be reached: then nothing may be acknowledged
   */
  async refresh(events: readonly RoleEvent[]): Promise<void> {
    const subjects = new Map<string, TruthSubject>();
    const boards = new Map<string, Board>();
    for (const event of events) {
      for (const { id, cycleId, key, board } of readable(event)) {
        subjects.set(id, { key, subject: key.subject, ranksPlayers: ranksPlayers(board) });
        boards.set(cycleId, board);
      }
    }
    if (subjects.size === 0) return;
    const named = [...subjects.values()];
    await this.#touch(named.map(({ key }) => key));
    const { store, truth } = this.#options;
    if (store === null) return;
    if (store.isAway()) {
      await truth.voidCycles(distinct(named.map(({ key }) => key)));
      return;
    }
    await this.#applyRows(store, await truth.rows(named), (cycle) => boards.get(boardId(cycle.key)) ?? null);
  }

  /** Brings the entries of one player up to the truth: after hiding or restoring. Errors as `refresh`. */
  async refreshPlayer(gameId: string, playerId: string): Promise<void> {
    const { store, truth } = this.#options;
    if (store === null) return;
    const rows = await truth.rowsOfPlayer(gameId, playerId);
    const boards = new Map<string, Board | null>();
    for (const { cycle } of rows) boards.set(boardId(cycle.key), await this.#boardOf(cycle));
    const players = rows.filter(({ cycle }) => {
      const board = boards.get(boardId(cycle.key));
      return board !== undefined && board !== null && ranksPlayers(board);
    });
    await this.#applyRows(store, players, (cycle) => boards.get(boardId(cycle.key)) ?? null);
  }

  /** Brings these subjects of one cycle up to the truth. Errors as `refresh`. */
  async refreshSubjects(key: BoardKey, board: Board, subjects: readonly string[]): Promise<void> {
    const { store, truth } = this.#options;
    if (store === null) return;
    const named = subjects.map((subject) => ({ key, subject, ranksPlayers: ranksPlayers(board) }));
    await this.#applyRows(store, await truth.rows(named), () => board);
  }

  async #applyRows(
    store: BoardViewStore,
    rows: readonly TruthRow[],
    boardOf: (cycle: OpenCycle) => Board | null,
  ): Promise<void> {
    const cycles = new Map<string, { cycle: OpenCycle; rows: ViewRow[] }>();
    for (const { cycle, row } of rows) {
      const id = boardId(cycle.key);
      const group = cycles.get(id) ?? { cycle, rows: [] };
      group.rows.push(row);
      cycles.set(id, group);
    }
    const failed: BoardKey[] = [];
    await Promise.all(
      [...cycles.values()].map(async ({ cycle, rows: cycleRows }) => {
        const board = boardOf(cycle);
        if (board === null) return;
        try {
          const options = { epoch: cycle.epoch, build: null, expireAtMs: this.#expireAtMs(cycle) };
          // `newer`: a build that began after these rows were read reads them itself.
          const result = await store.apply(cycle.key, board.order, cycleRows, options);
          if (result === 'absent') this.#request({ cycle, board });
        } catch (error) {
          failed.push(cycle.key);
          this.#options.log.warn(
            { err: error, ...cycle.key },
            'the view of a board could not be refreshed; it is void now',
          );
        }
      }),
    );
    if (failed.length > 0) await this.#options.truth.voidCycles(failed);
  }

  #expireAtMs({ closesAtMs }: OpenCycle): number | null {
    return closesAtMs === null ? null : Math.max(closesAtMs, this.#options.clock.now()) + KEEP_CLOSED_MS;
  }

  /** Once per second and cycle, so that busy boards do not wait for each other's row. */
  async #touch(keys: readonly BoardKey[]): Promise<void> {
    const nowMs = this.#options.clock.monotonicMs();
    const due = distinct(keys).filter(
      (key) => nowMs - (this.#touchedAtMs.get(boardId(key)) ?? -Infinity) >= TOUCH_INTERVAL_MS,
    );
    if (due.length === 0) return;
    if (this.#touchedAtMs.size + due.length > TOUCHED_MAX) this.#touchedAtMs.clear();
    for (const key of due) this.#touchedAtMs.set(boardId(key), nowMs);
    await this.#options.truth.touch(due);
  }

  async #boardOf(cycle: OpenCycle): Promise<Board | null> {
    const definition = await this.#options.definitions.version(cycle.key.gameId, cycle.definitionVersion);
    return definition.boards.get(cycle.key.board) ?? null;
  }

  /** Builds later, soon. Beyond the limit it is forgotten: the next event or check asks again. */
  #request(build: Build): void {
    const id = boardId(build.cycle.key);
    if (this.#building.has(id) || this.#waiting.size >= BUILDS_WAITING_MAX) return;
    this.#waiting.set(id, build);
    this.#startBuilds();
  }

  #startBuilds(): void {
    const { store } = this.#options;
    for (const [id, build] of this.#waiting) {
      if (store === null || this.#building.size >= BUILDS_AT_ONCE) return;
      this.#waiting.delete(id);
      const done = this.#build(store, build).finally(() => {
        this.#building.delete(id);
        this.#startBuilds();
      });
      this.#building.set(id, done);
    }
  }

  /** Resolves when no build is running or waiting in this process. */
  async idle(): Promise<void> {
    while (this.#building.size > 0) await Promise.all(this.#building.values());
  }

  /** Never rejects: a build that failed leaves a view that is not used, and the next check tries again. */
  async #build(store: BoardViewStore, { cycle, board }: Build): Promise<BuildResult> {
    const { truth, log } = this.#options;
    const { key } = cycle;
    try {
      const epoch = await truth.raiseForBuild(key, cycle.epoch);
      const build = epoch === null ? null : await store.begin(key, epoch);
      if (epoch === null || build === null) return 'busy';
      const options = { epoch, build, expireAtMs: this.#expireAtMs(cycle) };
      let after = '';
      for (;;) {
        const rows = await truth.page(key, ranksPlayers(board), after, BUILD_PAGE_ROWS);
        const last = rows.at(-1);
        if (last === undefined) break;
        if ((await store.apply(key, board.order, rows, options)) !== 'applied') return 'busy';
        after = last.subject;
      }
      return (await store.complete(key, epoch, build, options.expireAtMs)) ? 'built' : 'busy';
    } catch (error) {
      log.warn({ err: error, ...key }, 'the view of a board could not be built');
      await truth.voidCycles([key]).catch((cause: unknown) => {
        log.warn({ err: cause, ...key }, 'a failed build stays marked until its lease ends');
      });
      return 'failed';
    }
  }

  /** Compares views with their epochs until `signal` aborts, and builds those that are void, lost or abandoned. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log, checkIntervalMs = CHECK_INTERVAL_MS } = this.#options;
    while (!signal.aborted) {
      await this.check().catch((error: unknown) => {
        log.warn({ err: error }, 'views could not be compared with their epochs');
      });
      await clock.sleep(checkIntervalMs, signal);
    }
    this.#waiting.clear();
    await this.idle();
  }

  /** One comparison. Resolves when the builds it found necessary have ended. */
  async check(): Promise<void> {
    const { store, truth } = this.#options;
    if (store === null) return;
    const isAway = store.isAway();
    const seen = { whole: 0, behind: 0 };
    for await (const cycles of this.#pages({})) {
      const marks = isAway ? [] : await store.marks(cycles.map(({ key }) => key));
      for (const [i, cycle] of cycles.entries()) {
        const mark = marks[i];
        const isCurrent = mark?.epoch === cycle.epoch;
        seen[isCurrent && mark.state === 'complete' ? 'whole' : 'behind'] += 1;
        if (isAway || isCurrent) continue; // nothing can be done, or nothing is to be, or a build is at it
        const board = await this.#boardOf(cycle);
        if (board !== null) this.#request({ cycle, board });
      }
      await this.idle();
    }
    this.#cycles?.set(seen.whole, { state: 'whole' });
    this.#cycles?.set(seen.behind, { state: 'behind' });
    if (isAway) return;
    const withinSeconds = this.#isFirstCheck ? HIDDEN_BEFORE_START_SECONDS : HIDDEN_LATELY_SECONDS;
    for (const { gameId, playerId } of await truth.changedPlayers(withinSeconds, HIDDEN_MAX)) {
      await this.refreshPlayer(gameId, playerId);
    }
    this.#isFirstCheck = false;
  }

  /** Builds every view of the scope anew, whole or not. Answers the number built. */
  async rebuild(scope: CycleScope, onProgress?: (progress: RebuildProgress) => void): Promise<number> {
    const { store } = this.#options;
    if (store === null) return 0;
    const cycles: OpenCycle[] = [];
    for await (const page of this.#pages(scope)) {
      cycles.push(...page);
      if (cycles.length >= REBUILD_CYCLES_MAX) break;
    }
    let built = 0;
    let done = 0;
    for (const cycle of cycles) {
      const board = await this.#boardOf(cycle);
      const result = board === null ? 'failed' : await this.#build(store, { cycle, board });
      if (result === 'built') built += 1;
      done += 1;
      onProgress?.({ done, total: cycles.length, key: cycle.key, result });
    }
    return built;
  }

  async *#pages(scope: CycleScope): AsyncGenerator<readonly OpenCycle[]> {
    let after: BoardKey | null = null;
    for (;;) {
      const page: readonly OpenCycle[] = await this.#options.truth.openCycles(scope, after, CYCLES_PAGE);
      const last = page.at(-1);
      if (last === undefined) return;
      yield page;
      after = last.key;
    }
  }
}

const ranksPlayers = (board: Board): boolean => board.subjectField === null;

const distinct = (keys: readonly BoardKey[]): readonly BoardKey[] => [
  ...new Map(keys.map((key) => [boardId(key), key])).values(),
];

function readable(event: RoleEvent): ReturnType<typeof contributionsOf> {
  try {
    return contributionsOf(event);
  } catch (error) {
    if (error instanceof PoisonError) return [];
    throw error;
  }
}
