import type { Express, Request, Response } from 'express';
import type { paths } from '../contract/api.gen.js';
import type { ProgressionReads, ReceiptItem } from '../progression/port.js';
import type { Access } from './access.js';
import { checkPlayerId, onlyParameters, pageOf, RequestProblem } from './request.js';

type ProgressAnswer =
  paths['/v1/players/{playerId}/progress']['get']['responses'][200]['content']['application/json'];
export type ReceiptAnswer =
  paths['/v1/receipts/{receiptId}']['get']['responses'][200]['content']['application/json'];
type ReceiptPage =
  paths['/v1/players/{playerId}/receipts']['get']['responses'][200]['content']['application/json'];

/** Player data is for the player and the game's servers alone. */
export function sendPrivate(response: Response, answer: object): void {
  response.setHeader('Cache-Control', 'private, no-store');
  response.json(answer);
}

export const toReceiptAnswer = (item: ReceiptItem): ReceiptAnswer => ({
  receiptId: item.receiptId,
  jws: item.jws,
  reward: item.reward,
  amount: item.amount,
  cause: item.cause,
  issuedAt: new Date(item.tsMs).toISOString(),
  revokedAt: item.revokedAtMs === null ? null : new Date(item.revokedAtMs).toISOString(),
});

/** GET /v1/players/{playerId}/progress and /receipts. */
export const playerRoutes =
  (access: Access, reads: ProgressionReads) =>
  (app: Express): void => {
    app.get('/v1/players/:playerId/progress', async (request: Request<{ playerId: string }>, response) => {
      const playerId = checkPlayerId(request.params.playerId);
      onlyParameters(request, []);
      const caller = await access.forPlayer(request, playerId);
      const progress = await reads.progress(caller.gameId, playerId);
      if (progress === null) throw new RequestProblem('not_found');
      sendPrivate(response, progress satisfies ProgressAnswer);
    });

    app.get('/v1/players/:playerId/receipts', async (request: Request<{ playerId: string }>, response) => {
      const playerId = checkPlayerId(request.params.playerId);
      onlyParameters(request, ['limit', 'cursor']);
      const caller = await access.forPlayer(request, playerId);
      const page = await reads.receipts(caller.gameId, playerId, pageOf(request));
      const answer: ReceiptPage = { items: page.items.map(toReceiptAnswer), nextCursor: page.nextCursor };
      sendPrivate(response, answer);
    });
  };
