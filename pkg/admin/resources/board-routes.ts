import type { Response } from 'express';
import type { Board, DefinitionSource, GameDefinition } from '../../games/port.js';
import { RequestProblem, wrongParameter } from '../../http/request-problem.js';
import type { Clock } from '../../kernel/clock.js';
import type { BoardAnswer, BoardQueries, BoardRequest } from '../../query/boards.js';
import type { GameCall, GameRoutes, Sent } from '../api/routes.js';
import { found, instantOrNull, pageRequest, textOrNull, type Schemas } from './answers.js';
import { listCycles, listPartitions, voidCycle } from './boards.postgres.js';
import { csvRow } from './csv.js';

export interface BoardParts {
  readonly definitions: Pick<DefinitionSource, 'inForce'>;
  /** Read from the view where that is whole, else from the truth. */
  readonly boards: BoardQueries;
  readonly clock: Pick<Clock, 'now'>;
}

type BoardOperation =
  'listBoards' | 'getBoard' | 'listBoardCycles' | 'listBoardPartitions' | 'exportBoard' | 'rebuildBoard';

const TOP_ROWS = 50;
const EXPORT_ROWS = 10_000;
const EXPORT_PAGE_ROWS = 1_000;
/** Who waits for a file sees it begin. */
const EXPORT_FIRST_ROWS = 100;

/** Who leads, now and then. */
export const boardRoutes = (parts: BoardParts): Pick<GameRoutes, BoardOperation> => ({
  listBoards: async ({ gameId }) => ({
    status: 200,
    body: { items: boardItems(await definitionOf(gameId, parts), parts.clock.now()) },
  }),
  getBoard: async (call) => ({ status: 200, body: pageOfBoard(await readBoard(call, parts)) }),
  listBoardCycles: async ({ gameId, path: { board }, query: { window, partition, ...page }, read }) => {
    const nowMs = parts.clock.now();
    const query = { gameId, board, window, partition, nowMs, ...pageRequest(page) };
    return { status: 200, body: await read((sql) => listCycles(sql, query)) };
  },
  listBoardPartitions: async ({ gameId, path, query: { window, cycle, prefix = '', ...page }, read }) => {
    const key = await cycleKey({ gameId, board: path.board, window, cycle }, parts);
    const query = { gameId, board: path.board, cycle: key, prefix, ...pageRequest(page) };
    return { status: 200, body: await read((sql) => listPartitions(sql, query)) };
  },
  exportBoard: (call) => exportBoard(call, parts),
  rebuildBoard: async ({ gameId, path: { board }, body: { window, cycle, partition = '' }, change }) => {
    const key = await cycleKey({ gameId, board, window, cycle }, parts);
    const epoch = await change(async ({ sql, audit }) => {
      const voided = found(await voidCycle(sql, { gameId, board, cycle: key, partition }));
      audit({ action: 'board.rebuild', subject: `board ${board}`, details: { cycle: key, partition } });
      return voided;
    });
    return { status: 202, body: { epoch } };
  },
});

async function definitionOf(
  gameId: string,
  { definitions, clock }: Pick<BoardParts, 'definitions' | 'clock'>,
): Promise<GameDefinition> {
  const definition = await definitions.inForce(gameId, clock.now());
  if (definition === null) throw new RequestProblem('definition_unavailable');
  return definition;
}

const boardItems = (definition: GameDefinition, nowMs: number): Schemas['BoardItem'][] =>
  [...definition.boards.values()].map((board) => ({
    board: board.name,
    eventType: board.eventType,
    aggregate: board.aggregate,
    order: board.order,
    value: board.valueField,
    subject: board.subjectField,
    partition: board.partitionField,
    isPublic: board.isPublic,
    windows: windowsOf(definition, board, nowMs),
  }));

const windowsOf = (
  definition: GameDefinition,
  board: Board,
  nowMs: number,
): Schemas['BoardItem']['windows'] =>
  board.windows.map((window) => {
    const { name, startsAtMs, endsAtMs } = definition.cycleAt(window, nowMs);
    return {
      window: window.kind,
      cycle: name,
      startsAt: instantOrNull(startsAtMs),
      nextResetAt: instantOrNull(endsAtMs),
      timeZone: window.timeZone,
      resetHour: window.resetHour,
    };
  });

interface NamedCycle {
  readonly gameId: string;
  readonly board: string;
  readonly window?: Schemas['WindowKind'] | undefined;
  readonly cycle?: string | undefined;
}

/** `<window>:<name>` of the cycle that is meant: the board's first window and its current cycle unless named. */
async function cycleKey(
  { gameId, board: name, window, cycle }: NamedCycle,
  parts: BoardParts,
): Promise<string> {
  const definition = await definitionOf(gameId, parts);
  const board = found(definition.boards.get(name));
  const chosen = found(board.windows.find(({ kind }) => window === undefined || kind === window));
  return `${chosen.kind}:${cycle ?? definition.cycleAt(chosen, parts.clock.now()).name}`;
}

type BoardParameters = GameCall<'getBoard' | 'exportBoard'>['query'];

const boardRequest = (
  gameId: string,
  board: string,
  { window, cycle, partition, revised }: BoardParameters,
): BoardRequest => ({
  gameId,
  board,
  ...(window === undefined ? {} : { window }),
  ...(cycle === undefined ? {} : { cycle }),
  ...(partition === undefined ? {} : { partition }),
  revised: revised ?? false,
});

function readBoard(
  { gameId, path, query }: GameCall<'getBoard'>,
  { boards }: BoardParts,
): Promise<BoardAnswer> {
  const { limit, cursor, around, subject } = query;
  if ([cursor, around, subject].filter((one) => one !== undefined).length > 1)
    throw wrongParameter(subject !== undefined ? 'subject' : 'around');
  const request = boardRequest(gameId, path.board, query);
  if (subject !== undefined) return boards.players({ ...request, playerIds: [subject] });
  if (around !== undefined)
    return boards.around({ ...request, playerId: around, ...(limit === undefined ? {} : { limit }) });
  return boards.top({ ...request, limit: limit ?? TOP_ROWS, ...(cursor === undefined ? {} : { cursor }) });
}

/** A board as the API and its streams show it. */
export const pageOfBoard = (answer: BoardAnswer): Schemas['BoardPage'] => ({
  board: answer.board,
  window: answer.window,
  cycle: answer.cycle,
  partition: textOrNull(answer.partition),
  state: answer.state,
  stale: answer.stale,
  total: answer.total,
  updatedAt: answer.updatedAt,
  nextResetAt: answer.nextResetAt,
  items: answer.entries.map(({ playerId, ...entry }) => ({ subject: playerId, ...entry })),
  nextCursor: answer.nextCursor,
});

/** Page by page, each written before the next is read. The first is read before anything is written, so that what fails is a problem. */
async function exportBoard(
  { gameId, path: { board }, query }: GameCall<'exportBoard'>,
  { boards }: BoardParts,
): Promise<Sent> {
  const rowsMax = query.limit ?? EXPORT_ROWS;
  const request = boardRequest(gameId, board, query);
  const pageAfter = (cursor: string | null, written: number): Promise<BoardAnswer> =>
    boards.top({
      ...request,
      limit: Math.min(cursor === null ? EXPORT_FIRST_ROWS : EXPORT_PAGE_ROWS, rowsMax - written),
      ...(cursor === null ? {} : { cursor }),
    });
  const first = await pageAfter(null, 0);
  return {
    send: async (response) => {
      response.set({
        'Content-Type': 'text/csv; charset=utf-8',
        'Content-Disposition': `attachment; filename="${gameId}-${board}-${first.window}-${first.cycle}.csv"`,
      });
      await write(response, csvRow(['rank', 'subject', 'score', 'reached_at']));
      let written = 0;
      for (let page = first; ;) {
        await write(response, page.entries.map(rowOf).join(''));
        written += page.entries.length;
        if (page.nextCursor === null || written >= rowsMax || response.destroyed) break;
        page = await pageAfter(page.nextCursor, written);
      }
      response.end();
    },
  };
}

const rowOf = ({ rank, playerId, score, reachedAt }: BoardAnswer['entries'][number]): string =>
  csvRow([rank, playerId, score, reachedAt]);

/** Resolves when the reader has room again, or is gone. */
const write = (response: Response, text: string): Promise<void> =>
  new Promise((resolve) => {
    if (text === '' || response.write(text) || response.destroyed) return resolve();
    const goOn = (): void => {
      response.off('drain', goOn).off('close', goOn);
      resolve();
    };
    response.once('drain', goOn).once('close', goOn);
  });
