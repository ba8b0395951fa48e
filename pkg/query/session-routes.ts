import type { paths } from '../contract/api.gen.js';
import type { KeyRing } from '../games/port.js';
import { SESSION_DEFAULT_SECONDS, SESSION_MAX_SECONDS } from '../signing/session.js';
import type { Access } from './access.js';
import { jsonObject } from '../http/body.js';
import { isPlayerId, NO_PARAMETERS, Parameters } from '../http/parameters.js';
import type { Sessions } from './port.js';
import { RequestProblem, wrongParameter } from '../http/request-problem.js';
import type { Handler, Routes } from './serve.js';

export interface SessionRouteDeps {
  readonly access: Access;
  readonly sessions: Sessions;
  readonly keyRing: Pick<KeyRing, 'key'>;
}

type SessionAnswer = paths['/v1/sessions']['post']['responses'][201]['content']['application/json'];
type SessionScope = 'ingest' | 'read';

const SID = /^[A-Za-z0-9_-]{22}$/;
const KEY_ID = /^[A-Za-z0-9_-]{1,64}$/;
const TTL_MIN_SECONDS = 60;
const SCOPES: readonly SessionScope[] = ['ingest', 'read'];

interface MintRequest {
  readonly playerId: string;
  readonly scopes: readonly SessionScope[];
  readonly ttlSeconds: number;
}

/** Session keys have no scope `sessions`, so a session never mints. Answers are never stored by anybody. */
export const sessionRoutes =
  (deps: SessionRouteDeps): Routes =>
  (serve) => {
    serve({ path: '/v1/sessions', POST: mint(deps), DELETE: revokeMany(deps) });

    serve({
      path: '/v1/sessions/:sid',
      DELETE: async (request, response) => {
        const { gameId } = deps.access.signed(request, 'sessions');
        new Parameters(request, NO_PARAMETERS);
        const sid = request.params['sid'] ?? '';
        if (!SID.test(sid)) throw wrongParameter('sid');
        await deps.sessions.revoke(gameId, { sid });
        response.status(204).end();
      },
    });
  };

const mint =
  ({ access, sessions }: SessionRouteDeps): Handler =>
  (request, response) => {
    const { gameId } = access.signed(request, 'sessions');
    new Parameters(request, NO_PARAMETERS);
    const { playerId, scopes, ttlSeconds } = mintRequest(
      jsonObject(request, ['playerId', 'scopes', 'ttlSeconds']),
    );
    const { keyId, secret, sid, issuedAtMs, expiresAtMs } = sessions.mint(
      gameId,
      playerId,
      scopes,
      ttlSeconds,
    );
    const answer: SessionAnswer = {
      keyId,
      secret,
      sid,
      playerId,
      scopes: [...scopes],
      issuedAt: new Date(issuedAtMs).toISOString(),
      expiresAt: new Date(expiresAtMs).toISOString(),
    };
    response.status(201).json(answer);
  };

/** By player, or by the key that minted. A key id of no key of the game ends nothing: a typing error must not end them all. */
const revokeMany =
  ({ access, sessions, keyRing }: SessionRouteDeps): Handler =>
  async (request, response) => {
    const { gameId } = access.signed(request, 'sessions');
    const parameters = new Parameters(request, ['playerId', 'keyId']);
    const playerId = parameters.playerId('playerId');
    const keyId = parameters.text('keyId', 64);
    if (playerId !== undefined && keyId !== undefined) throw wrongParameter('keyId');
    if (playerId !== undefined) await sessions.revoke(gameId, { playerId });
    else if (keyId === undefined || !KEY_ID.test(keyId)) throw wrongParameter('keyId');
    else if (keyRing.key(keyId)?.gameId !== gameId) throw new RequestProblem('not_found');
    else await sessions.revoke(gameId, { keyId });
    response.status(204).end();
  };

function mintRequest(body: Readonly<Record<string, unknown>>): MintRequest {
  const { playerId, scopes = SCOPES, ttlSeconds = SESSION_DEFAULT_SECONDS } = body;
  if (typeof playerId !== 'string' || !isPlayerId(playerId))
    throw new RequestProblem('invalid_player_id', { pointer: '/playerId' });
  if (!isScopes(scopes)) throw new RequestProblem('invalid_field', { pointer: '/scopes' });
  if (!isTtl(ttlSeconds)) throw new RequestProblem('invalid_field', { pointer: '/ttlSeconds' });
  return { playerId, scopes, ttlSeconds };
}

const isScopes = (value: unknown): value is readonly SessionScope[] =>
  Array.isArray(value) &&
  value.length > 0 &&
  new Set(value).size === value.length &&
  value.every((scope) => SCOPES.includes(scope as SessionScope));

const isTtl = (value: unknown): value is number =>
  typeof value === 'number' &&
  Number.isInteger(value) &&
  value >= TTL_MIN_SECONDS &&
  value <= SESSION_MAX_SECONDS;
