import { RequestProblem } from '../../http/request-problem.js';
import type { ReceiptVerdict } from '../../progression/port.js';
import type { GameRoutes } from '../api/routes.js';
import { found, pageRequest, type Schemas } from './answers.js';
import { listReceipts, listRevoked, readReceipt, revokeReceipt } from './receipts.postgres.js';

export interface ReceiptParts {
  /** Whether a text is a receipt that we issued, whatever the game, and did not revoke. */
  readonly verifyReceipt: (jws: string) => Promise<ReceiptVerdict>;
}

type ReceiptOperation =
  'listReceipts' | 'getReceipt' | 'listRevokedReceipts' | 'verifyReceipt' | 'revokeReceipt';

/** Signed proof of granted rewards: looked up, checked, declared void. */
export const receiptRoutes = ({ verifyReceipt }: ReceiptParts): Pick<GameRoutes, ReceiptOperation> => ({
  listReceipts: async ({ gameId, query, read }) => ({
    status: 200,
    body: await read((sql) => listReceipts(sql, gameId, pageRequest(query))),
  }),
  getReceipt: async ({ gameId, path, read }) => ({
    status: 200,
    body: found(await read((sql) => readReceipt(sql, gameId, path.receiptId))),
  }),
  listRevokedReceipts: async ({ gameId, query, read }) => ({
    status: 200,
    body: await read((sql) => listRevoked(sql, gameId, pageRequest(query))),
  }),
  verifyReceipt: async ({ gameId, body }) => ({
    status: 200,
    body: verdictFor(gameId, await verifyReceipt(body.jws)),
  }),
  revokeReceipt: async ({ gameId, path: { receiptId }, body: { reason }, person, change }) => ({
    status: 200,
    body: await change(async ({ sql, audit }) => {
      const revoked = await revokeReceipt(sql, { gameId, receiptId, by: person.username, reason });
      const receipt = found(await readReceipt(sql, gameId, receiptId));
      if (!revoked) throw new RequestProblem('receipt_revoked');
      audit({
        action: 'receipt.revoke',
        subject: `receipt ${receiptId}`,
        reason,
        details: { playerId: receipt.playerId, cause: receipt.cause },
      });
      return receipt;
    }),
  }),
});

/** Of a receipt of another game nothing is told but that it is not one of this. */
function verdictFor(gameId: string, verdict: ReceiptVerdict): Schemas['ReceiptVerdict'] {
  const { valid, code = null, revoked = null, claims = null } = verdict;
  if (claims !== null && claims.aud !== `game:${gameId}`)
    return { valid: false, code: 'wrong_claims', revoked: null, claims: null };
  return { valid, code, revoked, claims };
}
