import type { Request, Response } from 'express';
import type { paths } from '../contract/api.gen.js';
import type { DefinitionSource } from '../games/port.js';
import type { Clock } from '../kernel/clock.js';
import type { Access } from './access.js';
import { sendPrivate, sendPublic } from './answers.js';
import type { BoardAnswer, BoardQueries, BoardRequest } from './boards.js';
import { checkPlayerId, Parameters } from '../http/parameters.js';
import { RequestProblem, wrongParameter } from '../http/request-problem.js';
import type { Routes } from './serve.js';

export interface LeaderboardRouteDeps {
  readonly access: Access;
  readonly boards: BoardQueries;
  readonly definitions: Pick<DefinitionSource, 'inForce'>;
  readonly clock: Pick<Clock, 'now'>;
}

type LeaderboardAnswer =
  paths['/v1/leaderboards/{board}']['get']['responses'][200]['content']['application/json'];

const WINDOWS = ['daily', 'weekly', 'seasonal', 'all-time'] as const;
const PLACE_PARAMETERS = ['window', 'cycle', 'partition'];
const READ_PARAMETERS = ['game', 'limit', 'cursor', 'around', 'players', 'revised', ...PLACE_PARAMETERS];
const BOARD_MAX_LENGTH = 64;
const CYCLE_MAX_LENGTH = 64;
const PARTITION_MAX_LENGTH = 256;
const CURSOR_MAX_LENGTH = 1024;
const LIMIT_MAX = 1000;
const PLAYERS_MAX = 100;
const MAX_AGE_SECONDS = 2;

/** Boards. A public one is the same for everybody and may be cached; any other is for keys and sessions that may read. */
export const leaderboardRoutes =
  (deps: LeaderboardRouteDeps): Routes =>
  (serve) => {
    serve({
      path: '/v1/leaderboards/:board',
      isPublic: true,
      GET: (request, response) => {
        const parameters = new Parameters(request, READ_PARAMETERS);
        return serveBoard(deps, request, response, parameters, request.params['board'] ?? '');
      },
    });

    serve({
      path: '/leaderboard',
      isPublic: true,
      GET: (request, response) => {
        const parameters = new Parameters(request, ['board', ...READ_PARAMETERS]);
        return serveBoard(deps, request, response, parameters, boardOf(parameters));
      },
    });

    serve({
      path: '/v1/players/:playerId/rank',
      GET: async (request, response) => {
        const playerId = checkPlayerId(request.params['playerId']);
        const { gameId } = deps.access.forPlayer(request, playerId);
        const parameters = new Parameters(request, ['board', ...PLACE_PARAMETERS]);
        const place = placeOf(parameters, gameId, boardOf(parameters));
        sendPrivate(response, toAnswer(await deps.boards.players({ ...place, playerIds: [playerId] })));
      },
    });
  };

function boardOf(parameters: Parameters): string {
  const board = parameters.text('board', BOARD_MAX_LENGTH);
  if (board === undefined) throw wrongParameter('board');
  return board;
}

async function serveBoard(
  deps: LeaderboardRouteDeps,
  request: Request,
  response: Response,
  parameters: Parameters,
  board: string,
): Promise<void> {
  const { gameId, caller } = deps.access.anybody(request, 'read', parameters);
  if (caller === null) await refusePrivate(deps, gameId, board);
  const answer = toAnswer(await read(deps.boards, parameters, placeOf(parameters, gameId, board)));
  if (caller === null) sendPublic(response, answer, MAX_AGE_SECONDS);
  else sendPrivate(response, answer);
}

/** Who did not sign learns no difference between a board that is private and one that is not there. */
async function refusePrivate(deps: LeaderboardRouteDeps, gameId: string, board: string): Promise<void> {
  const definition = await deps.definitions.inForce(gameId, deps.clock.now());
  if (definition === null) throw new RequestProblem('definition_unavailable');
  if (definition.boards.get(board)?.isPublic !== true) throw new RequestProblem('not_found');
}

function placeOf(parameters: Parameters, gameId: string, board: string): BoardRequest {
  const window = parameters.choice('window', WINDOWS);
  const cycle = parameters.text('cycle', CYCLE_MAX_LENGTH);
  const partition = parameters.text('partition', PARTITION_MAX_LENGTH);
  return {
    gameId,
    board,
    ...(window === undefined ? {} : { window }),
    ...(cycle === undefined ? {} : { cycle }),
    ...(partition === undefined ? {} : { partition }),
    revised: parameters.choice('revised', ['true', 'false']) === 'true',
  };
}

/** One of four questions: the top, the page after a cursor, the neighbourhood of a player, or certain players. */
function read(boards: BoardQueries, parameters: Parameters, place: BoardRequest): Promise<BoardAnswer> {
  if (['around', 'players', 'cursor'].filter((name) => parameters.has(name)).length > 1)
    throw new RequestProblem('invalid_parameter', {
      detail: 'around, players and cursor exclude each other',
    });
  const playerIds = parameters.playerIds('players', PLAYERS_MAX);
  if (playerIds !== undefined) {
    if (parameters.has('limit')) throw wrongParameter('limit');
    return boards.players({ ...place, playerIds });
  }
  const limit = parameters.integer('limit', 1, LIMIT_MAX);
  const withLimit = limit === undefined ? place : { ...place, limit };
  const playerId = parameters.playerId('around');
  if (playerId !== undefined) return boards.around({ ...withLimit, playerId });
  const cursor = parameters.text('cursor', CURSOR_MAX_LENGTH);
  return boards.top(cursor === undefined ? withLimit : { ...withLimit, cursor });
}

const toAnswer = (answer: BoardAnswer): LeaderboardAnswer => ({
  ...answer,
  partition: answer.partition === '' ? null : answer.partition,
  entries: [...answer.entries],
});
