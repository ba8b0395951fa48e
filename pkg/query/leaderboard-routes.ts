import type { Express, Request, Response } from 'express';
import type { paths } from '../contract/api.gen.js';
import type { DefinitionSource, GameDefinition } from '../games/port.js';
import type { Clock } from '../kernel/clock.js';
import { isSigned, type Access } from './access.js';
import type { BoardAnswer, BoardQueries, BoardRequest } from './boards.js';
import { PUBLIC_CORS } from './cors.js';
import { sendPrivate } from './player-routes.js';
import {
  checkPlayerId,
  onlyParameters,
  queryChoice,
  queryInteger,
  queryText,
  RequestProblem,
} from './request.js';

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
const PLAYERS_MAX = 100;

/** Boards. A public one is the same for everybody and may be cached; any other is for keys and sessions that may read. */
export const leaderboardRoutes =
  (deps: LeaderboardRouteDeps) =>
  (app: Express): void => {
    app.get('/v1/leaderboards/:board', async (request: Request<{ board: string }>, response) => {
      onlyParameters(request, READ_PARAMETERS);
      await serveBoard(deps, request, response, request.params.board);
    });

    app.get('/leaderboard', async (request, response) => {
      onlyParameters(request, ['board', ...READ_PARAMETERS]);
      const board = queryText(request, 'board', 64);
      if (board === undefined) throw new RequestProblem('invalid_parameter', { pointer: '/board' });
      await serveBoard(deps, request, response, board);
    });

    app.get('/v1/players/:playerId/rank', async (request: Request<{ playerId: string }>, response) => {
      const playerId = checkPlayerId(request.params.playerId);
      onlyParameters(request, ['board', ...PLACE_PARAMETERS]);
      const { gameId } = await deps.access.forPlayer(request, playerId);
      const board = queryText(request, 'board', 64);
      if (board === undefined) throw new RequestProblem('invalid_parameter', { pointer: '/board' });
      const answer = await deps.boards.players({ ...placeOf(request, gameId, board), playerIds: [playerId] });
      sendPrivate(response, toAnswer(answer));
    });
  };

async function serveBoard(
  deps: LeaderboardRouteDeps,
  request: Request,
  response: Response,
  board: string,
): Promise<void> {
  const { gameId, isPublic } = await readerOf(deps, request, board);
  const answer = toAnswer(await read(deps.boards, request, placeOf(request, gameId, board)));
  if (!isPublic) return sendPrivate(response, answer);
  response.set(PUBLIC_CORS).setHeader('Cache-Control', 'public, max-age=2');
  response.json(answer); // Express adds the ETag and answers 304
}

/** Whose board it is, and whether anybody may see it. An unsigned request learns no difference between private and absent. */
async function readerOf(
  deps: LeaderboardRouteDeps,
  request: Request,
  board: string,
): Promise<{ gameId: string; isPublic: boolean }> {
  if (isSigned(request)) {
    const { gameId } = await deps.access.signed(request, 'read');
    return { gameId, isPublic: false };
  }
  const gameId = await deps.access.publicGame(request);
  const definition: GameDefinition | null = await deps.definitions.inForce(gameId, deps.clock.now());
  if (definition === null) throw new RequestProblem('definition_unavailable', {}, 5);
  if (definition.boards.get(board)?.isPublic !== true) throw new RequestProblem('not_found');
  return { gameId, isPublic: true };
}

function placeOf(request: Request, gameId: string, board: string): BoardRequest {
  const window = queryChoice(request, 'window', WINDOWS);
  const cycle = queryText(request, 'cycle', 64);
  const partition = queryText(request, 'partition', 256);
  return {
    gameId,
    board,
    ...(window === undefined ? {} : { window }),
    ...(cycle === undefined ? {} : { cycle }),
    ...(partition === undefined ? {} : { partition }),
    revised: queryChoice(request, 'revised', ['true', 'false']) === 'true',
  };
}

function read(boards: BoardQueries, request: Request, place: BoardRequest): Promise<BoardAnswer> {
  const limit = queryInteger(request, 'limit', 1, 1000);
  const around = queryText(request, 'around', 256);
  const players = queryText(request, 'players', 13_000);
  const cursor = queryText(request, 'cursor', 1024);
  if ([around, players, cursor].filter((value) => value !== undefined).length > 1)
    throw new RequestProblem('invalid_parameter');
  const withLimit = limit === undefined ? {} : { limit };
  if (around !== undefined)
    return boards.around({ ...place, ...withLimit, playerId: checkPlayerId(around, 'around') });
  if (players === undefined)
    return boards.top({ ...place, ...withLimit, ...(cursor === undefined ? {} : { cursor }) });
  const playerIds = players.split(',').map((playerId) => checkPlayerId(playerId, 'players'));
  if (playerIds.length > PLAYERS_MAX) throw new RequestProblem('invalid_parameter', { pointer: '/players' });
  return boards.players({ ...place, playerIds });
}

const toAnswer = (answer: BoardAnswer): LeaderboardAnswer => ({
  ...answer,
  partition: answer.partition === '' ? null : answer.partition,
  entries: [...answer.entries],
});
