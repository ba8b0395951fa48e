import type { ReceiptKeys } from '../games/port.js';
import type { ProgressionReads, ReceiptVerdict } from '../progression/port.js';
import type { Access } from './access.js';
import { sendPrivate, sendPublic } from './answers.js';
import { jsonObject } from '../http/body.js';
import { NO_PARAMETERS, PAGE_PARAMETERS, Parameters } from '../http/parameters.js';
import { toReceiptAnswer } from './player-routes.js';
import { RequestProblem } from '../http/request-problem.js';
import type { Routes } from './serve.js';

export interface ReceiptRouteDeps {
  readonly access: Access;
  readonly reads: ProgressionReads;
  readonly keys: Pick<ReceiptKeys, 'jwks'>;
  readonly verify: (jws: string) => Promise<ReceiptVerdict>;
}

const RECEIPT_ID = /^[A-Za-z0-9_-]{22}$/;
const JWS_MAX_CHARACTERS = 8192;
const REVOKED_MAX_AGE_SECONDS = 2;
const JWKS_MAX_AGE_SECONDS = 60;

/** Receipts, their verification, what was revoked, and the public keys. */
export const receiptRoutes =
  ({ access, reads, keys, verify }: ReceiptRouteDeps): Routes =>
  (serve) => {
    serve({
      path: '/v1/receipts/revoked',
      isPublic: true,
      GET: async (request, response) => {
        const parameters = new Parameters(request, ['game', ...PAGE_PARAMETERS]);
        const { gameId } = access.anybody(request, null, parameters);
        const page = await reads.revoked(gameId, parameters.page());
        const items = page.items.map(({ receiptId, revokedAtMs }) => ({
          receiptId,
          revokedAt: new Date(revokedAtMs).toISOString(),
        }));
        sendPublic(response, { items, nextCursor: page.nextCursor }, REVOKED_MAX_AGE_SECONDS);
      },
    });

    serve({
      path: '/v1/receipts/verify',
      isPublic: true,
      POST: async (request, response) => {
        new Parameters(request, NO_PARAMETERS);
        const { jws } = jsonObject(request, ['jws']);
        if (jws === undefined) throw new RequestProblem('missing_field', { pointer: '/jws' });
        if (typeof jws !== 'string' || jws.length > JWS_MAX_CHARACTERS)
          throw new RequestProblem('invalid_field', { pointer: '/jws' });
        response.json(await verify(jws));
      },
    });

    serve({
      path: '/v1/receipts/:receiptId',
      GET: async (request, response) => {
        const caller = access.signed(request, 'read');
        new Parameters(request, NO_PARAMETERS);
        const receiptId = request.params['receiptId'] ?? '';
        const item = RECEIPT_ID.test(receiptId) ? await reads.receipt(caller.gameId, receiptId) : null;
        const isVisible = item !== null && (caller.playerId === null || caller.playerId === item.playerId);
        if (!isVisible) throw new RequestProblem('not_found');
        sendPrivate(response, toReceiptAnswer(item));
      },
    });

    serve({
      path: '/.well-known/jwks.json',
      isPublic: true,
      GET: async (request, response) => {
        const parameters = new Parameters(request, ['game']);
        const { gameId } = access.anybody(request, null, parameters);
        sendPublic(response, await keys.jwks(gameId), JWKS_MAX_AGE_SECONDS);
      },
    });
  };
