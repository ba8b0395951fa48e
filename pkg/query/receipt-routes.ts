import type { Express, Request } from 'express';
import type { ReceiptKeys } from '../games/port.js';
import type { ProgressionReads, ReceiptVerdict } from '../progression/port.js';
import { bodyOf, type Access } from './access.js';
import { PUBLIC_CORS } from './cors.js';
import { sendPrivate, toReceiptAnswer } from './player-routes.js';
import { bodyObject, onlyParameters, pageOf, RequestProblem } from './request.js';

export interface ReceiptRouteDeps {
  readonly access: Access;
  readonly reads: ProgressionReads;
  readonly keys: ReceiptKeys;
  readonly verify: (jws: string) => Promise<ReceiptVerdict>;
}

const RECEIPT_ID = /^[A-Za-z0-9_-]{22}$/;
const JWS_MAX_CHARACTERS = 4096;

/** Receipts, their verification, what was revoked, and the public keys. */
export const receiptRoutes =
  ({ access, reads, keys, verify }: ReceiptRouteDeps) =>
  (app: Express): void => {
    app.get('/v1/receipts/revoked', async (request, response) => {
      onlyParameters(request, ['game', 'limit', 'cursor']);
      const page = await reads.revoked(await access.publicGame(request), pageOf(request));
      const items = page.items.map(({ receiptId, revokedAtMs }) => ({
        receiptId,
        revokedAt: new Date(revokedAtMs).toISOString(),
      }));
      response.set(PUBLIC_CORS).setHeader('Cache-Control', 'public, max-age=2');
      response.json({ items, nextCursor: page.nextCursor });
    });

    app.get('/v1/receipts/:receiptId', async (request: Request<{ receiptId: string }>, response) => {
      onlyParameters(request, []);
      const caller = await access.signed(request, 'read');
      const { receiptId } = request.params;
      const item = RECEIPT_ID.test(receiptId) ? await reads.receipt(caller.gameId, receiptId) : null;
      const isVisible = item !== null && (caller.playerId === null || caller.playerId === item.playerId);
      if (!isVisible) throw new RequestProblem('not_found');
      sendPrivate(response, toReceiptAnswer(item));
    });

    app.post('/v1/receipts/verify', async (request, response) => {
      onlyParameters(request, []);
      await access.publicGame(request);
      const { jws } = bodyObject(bodyOf(request), ['jws']);
      if (typeof jws !== 'string' || jws.length > JWS_MAX_CHARACTERS) {
        throw new RequestProblem('invalid_field', { pointer: '/jws' });
      }
      response.set(PUBLIC_CORS).setHeader('Cache-Control', 'no-store');
      response.json(await verify(jws));
    });

    app.get('/.well-known/jwks.json', async (request, response) => {
      onlyParameters(request, ['game']);
      const jwks = await keys.jwks(await access.publicGame(request));
      response.set(PUBLIC_CORS).setHeader('Cache-Control', 'public, max-age=60');
      response.json(jwks);
    });
  };
