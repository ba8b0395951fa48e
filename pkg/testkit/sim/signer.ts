import { createHash } from 'node:crypto';
import type { ReceiptGrant, ReceiptSigner } from '../../progression/port.js';

/**
 * Stands in for Ed25519, which works on another thread and so at no repeatable moment. As there, the same game, key and
 * grant give the same bytes.
 */
export const simSigner: ReceiptSigner = {
  sign: async (gameId, grant) => ({ kid: `kid-of-${gameId}`, jws: signedBy(gameId, grant) }),
};

export function signedBy(
  gameId: string,
  { sub, jti, iat, reward, amount, cause, src }: ReceiptGrant,
): string {
  const text = JSON.stringify([gameId, sub, jti, iat, reward, amount, cause, src]);
  return `${text}.${createHash('sha256').update(text).digest('hex')}`;
}
