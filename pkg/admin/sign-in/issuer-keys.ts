import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import { RequestProblem } from '../../http/request-problem.js';
import type { Clock } from '../../kernel/clock.js';

/** From when on they are asked for again. */
const FRESH_MS = 10 * 60_000;
/** While the issuer cannot be reached, what it said last is believed for so long: it may have taken a key back since. */
const BELIEVED_MS = 60 * 60_000;
/** However often, whether it answers or not: a flood of tokens here must not become one there. */
const ASKED_EVERY_MS = 30_000;

interface Known {
  readonly find: ReturnType<typeof createLocalJWKSet>;
  readonly atMs: number;
}

/**
 * The keys of an issuer, as it published them last. An id that is not among them makes us ask again, but nobody asks within half a
 * minute of the last time.
 *
 * @param fetchKeys rejects with RequestProblem `issuer_unavailable`
 */
export function createIssuerKeys(
  fetchKeys: () => Promise<unknown>,
  clock: Pick<Clock, 'monotonicMs'>,
): JWTVerifyGetKey {
  let known: Known | null = null;
  let askedAtMs = -Infinity;
  let asking: Promise<void> | null = null;

  const ask = async (): Promise<void> => {
    const atMs = clock.monotonicMs();
    known = { find: keysIn(await fetchKeys()), atMs };
  };
  /** Of all that need newer ones at once, one asks. What went wrong shows in what is known afterwards. */
  const renew = async (): Promise<void> => {
    if (asking === null && clock.monotonicMs() - askedAtMs < ASKED_EVERY_MS) return;
    askedAtMs = clock.monotonicMs();
    asking ??= ask()
      .catch(() => undefined)
      .finally(() => (asking = null));
    await asking;
  };
  const current = (maxAgeMs: number): Known | null =>
    known !== null && clock.monotonicMs() - known.atMs < maxAgeMs ? known : null;

  return async (header, token) => {
    if (current(FRESH_MS) === null) await renew();
    const first = current(BELIEVED_MS);
    if (first === null) throw new RequestProblem('issuer_unavailable');
    try {
      return await first.find(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      await renew();
      const next = current(BELIEVED_MS);
      if (next === null || next === first) throw error;
      return next.find(header, token);
    }
  };
}

function keysIn(document: unknown): Known['find'] {
  try {
    return createLocalJWKSet(document as JSONWebKeySet);
  } catch {
    throw new RequestProblem('issuer_unavailable');
  }
}
