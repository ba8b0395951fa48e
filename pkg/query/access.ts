import type { Request } from 'express';
import type { KeyRing, Scope } from '../games/port.js';
import type { Authenticate, Caller, TakeAddressBudget } from './port.js';
import { queryText, RequestProblem } from './request.js';

export interface AccessDeps {
  readonly authenticate: Authenticate;
  readonly takeAddressBudget: TakeAddressBudget;
  readonly keyRing: KeyRing;
  /** The game of an unsigned request that names none; null when there is no such game. */
  readonly defaultGameId: string;
}

/** Who may ask what: the one place where a route learns its game and its caller. */
export interface Access {
  /** Signed by a key or session with the scope. */
  signed(request: Request, scope: Scope): Promise<Caller>;
  /** Signed, and, for a session, about its own player: anybody else does not exist for it. */
  forPlayer(request: Request, playerId: string): Promise<Caller>;
  /** Unsigned: the game that the request names. */
  publicGame(request: Request): Promise<string>;
}

const GAME_ID = /^[a-z0-9-]{1,32}$/;
const NO_BODY = Buffer.alloc(0);

export const bodyOf = (request: Request): Buffer => (Buffer.isBuffer(request.body) ? request.body : NO_BODY);

export function createAccess({
  authenticate,
  takeAddressBudget,
  keyRing,
  defaultGameId,
}: AccessDeps): Access {
  const spend = async (request: Request): Promise<void> => {
    const { allowed, retryAfterSeconds } = await takeAddressBudget(request);
    if (!allowed) throw new RequestProblem('rate_limited', {}, Math.max(1, Math.ceil(retryAfterSeconds)));
  };
  const signed = async (request: Request, scope: Scope): Promise<Caller> => {
    await spend(request);
    const result = authenticate(request, bodyOf(request), scope);
    if (!result.ok)
      throw new RequestProblem(result.code, result.extras, result.code === 'sessions_unavailable' ? 5 : null);
    return result.caller;
  };
  return {
    signed,
    forPlayer: async (request, playerId) => {
      const caller = await signed(request, 'read');
      if (caller.playerId !== null && caller.playerId !== playerId) throw new RequestProblem('not_found');
      return caller;
    },
    publicGame: async (request) => {
      await spend(request);
      const gameId = queryText(request, 'game', 32) ?? defaultGameId;
      if (!GAME_ID.test(gameId)) throw new RequestProblem('invalid_parameter', { pointer: '/game' });
      if (keyRing.game(gameId) === null) throw new RequestProblem('not_found');
      return gameId;
    },
  };
}

/** Whether a request carries a signature at all: a public board is served without one, and with one to that key's game. */
export const isSigned = (request: Request): boolean => request.headers['x-signature'] !== undefined;
