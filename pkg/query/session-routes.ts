import type { Express, Request } from 'express';
import type { paths } from '../contract/api.gen.js';
import { bodyOf, type Access } from './access.js';
import type { Sessions } from './port.js';
import { bodyObject, checkPlayerId, onlyParameters, queryText, RequestProblem } from './request.js';

type SessionAnswer = paths['/v1/sessions']['post']['responses'][201]['content']['application/json'];
type SessionScope = 'ingest' | 'read';

const SID = /^[A-Za-z0-9_-]{22}$/;
const KEY_ID = /^[A-Za-z0-9_-]{1,64}$/;
const TTL_MIN_SECONDS = 60;
const TTL_MAX_SECONDS = 86_400;
const TTL_DEFAULT_SECONDS = 3_600;
const SCOPES: readonly SessionScope[] = ['ingest', 'read'];

interface MintRequest {
  readonly playerId: string;
  readonly scopes: readonly SessionScope[];
  readonly ttlSeconds: number;
}

/** Session keys have no scope `sessions`, so a session never mints. Answers are never stored by anybody. */
export const sessionRoutes =
  (access: Access, sessions: Sessions) =>
  (app: Express): void => {
    app.post('/v1/sessions', async (request, response) => {
      onlyParameters(request, []);
      const { gameId } = await access.signed(request, 'sessions');
      const { playerId, scopes, ttlSeconds } = mintRequest(bodyOf(request));
      const minted = sessions.mint(gameId, playerId, scopes, ttlSeconds);
      const answer: SessionAnswer = {
        keyId: minted.keyId,
        secret: minted.secret,
        sid: minted.sid,
        playerId,
        scopes: [...scopes],
        issuedAt: new Date(minted.issuedAtMs).toISOString(),
        expiresAt: new Date(minted.expiresAtMs).toISOString(),
      };
      response.setHeader('Cache-Control', 'no-store');
      response.status(201).json(answer);
    });

    app.delete('/v1/sessions', async (request, response) => {
      onlyParameters(request, ['playerId', 'keyId']);
      const { gameId } = await access.signed(request, 'sessions');
      const playerId = queryText(request, 'playerId', 128);
      const keyId = queryText(request, 'keyId', 64);
      if ((playerId === undefined) === (keyId === undefined)) throw new RequestProblem('invalid_parameter');
      if (keyId !== undefined && !KEY_ID.test(keyId))
        throw new RequestProblem('invalid_parameter', { pointer: '/keyId' });
      await sessions.revoke(gameId, keyId === undefined ? { playerId: checkPlayerId(playerId) } : { keyId });
      response.status(204).end();
    });

    app.delete('/v1/sessions/:sid', async (request: Request<{ sid: string }>, response) => {
      onlyParameters(request, []);
      const { gameId } = await access.signed(request, 'sessions');
      if (!SID.test(request.params.sid)) throw new RequestProblem('invalid_parameter', { pointer: '/sid' });
      await sessions.revoke(gameId, { sid: request.params.sid });
      response.status(204).end();
    });
  };

function mintRequest(body: Buffer): MintRequest {
  const {
    playerId,
    scopes = SCOPES,
    ttlSeconds = TTL_DEFAULT_SECONDS,
  } = bodyObject(body, ['playerId', 'scopes', 'ttlSeconds']);
  if (typeof playerId !== 'string' || playerId === '' || Buffer.byteLength(playerId) > 128) {
    throw new RequestProblem('invalid_player_id', { pointer: '/playerId' });
  }
  if (!isScopes(scopes)) throw new RequestProblem('invalid_field', { pointer: '/scopes' });
  if (
    !Number.isInteger(ttlSeconds) ||
    (ttlSeconds as number) < TTL_MIN_SECONDS ||
    (ttlSeconds as number) > TTL_MAX_SECONDS
  ) {
    throw new RequestProblem('invalid_field', { pointer: '/ttlSeconds' });
  }
  return { playerId, scopes, ttlSeconds: ttlSeconds as number };
}

const isScopes = (value: unknown): value is readonly SessionScope[] =>
  Array.isArray(value) &&
  value.length > 0 &&
  new Set(value).size === value.length &&
  value.every((scope) => SCOPES.includes(scope as SessionScope));
