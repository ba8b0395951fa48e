import type { ReceiptKeySource, ReceiptSigner } from './port.js';
import { audienceOf, signReceipt } from './receipts.js';

export interface ReceiptSignerOptions {
  /** The `iss` of every receipt. */
  readonly issuer: string;
  readonly keys: ReceiptKeySource;
}

/** Signs with the game's current key. Receipts of a batch that are signed at once ask for it together. */
export function createReceiptSigner({ issuer, keys }: ReceiptSignerOptions): ReceiptSigner {
  const asked = new Map<string, ReturnType<ReceiptKeySource['current']>>();
  const current: ReceiptKeySource['current'] = (gameId) => {
    let answer = asked.get(gameId);
    if (answer === undefined) {
      answer = keys.current(gameId).finally(() => asked.delete(gameId));
      asked.set(gameId, answer);
    }
    return answer;
  };
  return {
    sign: async (gameId, grant) => {
      const { kid, privateKey } = await current(gameId);
      const claims = { iss: issuer, aud: audienceOf(gameId), ...grant };
      return { kid, jws: await signReceipt(claims, kid, privateKey) };
    },
  };
}
