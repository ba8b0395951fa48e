import type { paths } from '../contract/api.gen.js';
import type { ProgressionReads, ReceiptItem } from '../progression/port.js';
import type { Access } from './access.js';
import { sendPrivate } from './answers.js';
import { checkPlayerId, NO_PARAMETERS, PAGE_PARAMETERS, Parameters } from '../http/parameters.js';
import { RequestProblem } from '../http/request-problem.js';
import type { Routes } from './serve.js';

type ProgressAnswer =
  paths['/v1/players/{playerId}/progress']['get']['responses'][200]['content']['application/json'];
export type ReceiptAnswer =
  paths['/v1/receipts/{receiptId}']['get']['responses'][200]['content']['application/json'];
type ReceiptPage =
  paths['/v1/players/{playerId}/receipts']['get']['responses'][200]['content']['application/json'];

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
  (access: Access, reads: ProgressionReads): Routes =>
  (serve) => {
    serve({
      path: '/v1/players/:playerId/progress',
      GET: async (request, response) => {
        const playerId = checkPlayerId(request.params['playerId']);
        const { gameId } = access.forPlayer(request, playerId);
        new Parameters(request, NO_PARAMETERS);
        const progress = await reads.progress(gameId, playerId);
        if (progress === null) throw new RequestProblem('not_found');
        sendPrivate(response, progress satisfies ProgressAnswer);
      },
    });

    serve({
      path: '/v1/players/:playerId/receipts',
      GET: async (request, response) => {
        const playerId = checkPlayerId(request.params['playerId']);
        const { gameId } = access.forPlayer(request, playerId);
        const parameters = new Parameters(request, PAGE_PARAMETERS);
        const page = await reads.receipts(gameId, playerId, parameters.page());
        const answer: ReceiptPage = { items: page.items.map(toReceiptAnswer), nextCursor: page.nextCursor };
        sendPrivate(response, answer);
      },
    });
  };
