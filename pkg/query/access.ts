import type { Request } from 'express';
import type { KeyRing, Scope } from '../games/port.js';
import { sentOf } from '../http/body.js';
import type { Parameters } from '../http/parameters.js';
import type { Authenticate, Caller } from './port.js';
import { RequestProblem, wrongParameter } from '../http/request-problem.js';

export interface AccessDeps {
  readonly authenticate: Authenticate;
  readonly keyRing: Pick<KeyRing, 'game'>;
  /** The game of an unsigned request that names none. */
  readonly defaultGameId: string;
}

/** Whose game is asked about, and by whom; nobody when the request is not signed. */
export interface Reader {
  readonly gameId: string;
  readonly caller: Caller | null;
}

/** Who may ask what: the one place where a route learns its game and its caller. All throw RequestProblem. */
export interface Access {
  /** Signed by a key or session with the scope; null: with any. */
  signed(request: Request, scope: Scope | null): Caller;
  /** Signed, and, for a session, about its own player: anybody else does not exist for it. */
  forPlayer(request: Request, playerId: string): Caller;
  /** Anybody: who signs asks about their key's game and no other, who does not about the parameter `game`. */
  anybody(request: Request, scope: Scope | null, parameters: Parameters): Reader;
}

const GAME_ID = /^[a-z0-9-]{1,32}$/;

export function createAccess({ authenticate, keyRing, defaultGameId }: AccessDeps): Access {
  const signed: Access['signed'] = (request, scope) => {
    const { bytes, arrivedAtMs } = sentOf(request);
    const result = authenticate(request, bytes, scope, arrivedAtMs);
    if (!result.ok) throw new RequestProblem(result.code, result.extras);
    return result.caller;
  };
  return {
    signed,
    forPlayer: (request, playerId) => {
      const caller = signed(request, 'read');
      if (caller.playerId !== null && caller.playerId !== playerId) throw new RequestProblem('not_found');
      return caller;
    },
    anybody: (request, scope, parameters) => {
      const caller = isSigned(request) ? signed(request, scope) : null;
      const named = parameters.text('game', 32);
      if (named !== undefined && !GAME_ID.test(named)) throw wrongParameter('game');
      const gameId = caller?.gameId ?? named ?? defaultGameId;
      if ((named ?? gameId) !== gameId || keyRing.game(gameId) === null)
        throw new RequestProblem('not_found');
      return { gameId, caller };
    },
  };
}

/** Whether a request means to be signed: one that does it by half is refused and not taken for a stranger's. */
const isSigned = ({ headers }: Request): boolean =>
  headers['x-signature'] !== undefined || headers['x-key-id'] !== undefined;
