import { createHash } from 'node:crypto';
import type { ReceiptGrant, ReceiptSigner } from '../../progression/port.js';

/**
 * Stands in for Ed25519, which works on another thread and so at no repeatable moment. As there, the same game, key and
 * grant give the same bytes.
 */
export const simSigner: ReceiptSigner = {
  sign: async (gameId, grant) => ({ kid: `kid-of-${gameId}`, jws: signedBy(gameId, grant) }),
};

const HEADER = Buffer.from('{"alg":"none of the real ones"}').toString('base64url');

/** Of the shape of the real ones, which is read again by whoever recounts grants. */
export function signedBy(
  gameId: string,
  { sub, jti, iat, reward, amount, cause, src }: ReceiptGrant,
): string {
  const claims = JSON.stringify({ aud: `game:${gameId}`, sub, jti, iat, reward, amount, cause, src });
  const text = `${HEADER}.${Buffer.from(claims).toString('base64url')}`;
  return `${text}.${createHash('sha256').update(text).digest('base64url')}`;
}
