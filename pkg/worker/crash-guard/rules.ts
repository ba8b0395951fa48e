import { hash } from 'node:crypto';

/**
 * So many processes must have died with an event in hand, whatever else they had, before it runs alone. One death says
 * little: machines end and processes are killed, and events that run one by one are slow.
 */
export const SUSPECT_AFTER = 2;

/** So many processes must have died of an event that ran alone before it is given up. */
export const CRASHES_MAX = 3;

const SIXTEEN_HEX_DIGITS = /^[0-9a-f]{16}/;

/**
 * What a message is known by in the tables of the crash guard: the first eight bytes of its id in sixteen hex digits. Our
 * ids are hex digests; of any other (another producer's) a digest is made.
 */
export function crashKey(messageId: string): string {
  const digest = SIXTEEN_HEX_DIGITS.test(messageId) ? messageId : hash('sha256', messageId, 'hex');
  return digest.slice(0, 16);
}

/** Some deliveries of a batch, by their places, that go to the handler in one call. */
export interface Portion {
  readonly isAlone: boolean;
  /** From here ... */
  readonly from: number;
  /** ... up to but without this place. */
  readonly to: number;
}

/** A batch in its order, each suspect by itself and what stands between two of them together. */
export function portionsOf(keys: readonly string[], isSuspect: (key: string) => boolean): Portion[] {
  const portions: Portion[] = [];
  let from = 0;
  const upTo = (to: number): void => {
    if (to > from) portions.push({ isAlone: false, from, to });
  };
  for (const [place, key] of keys.entries()) {
    if (!isSuspect(key)) continue;
    upTo(place);
    from = place + 1;
    portions.push({ isAlone: true, from: place, to: from });
  }
  upTo(keys.length);
  return portions;
}
