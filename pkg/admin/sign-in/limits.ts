import { createHash } from 'node:crypto';
import type { RateLimiter, RateRule } from '../../admission/port.js';
import { RequestProblem } from '../../http/request-problem.js';
import { normalName } from './users.postgres.js';

/** A person mistypes a few times; thirty in a row, and three a minute afterwards, are far from guessing a password. */
const ACCOUNT: RateRule = { rate: 1 / 20, burst: 30 };
/** An office shares an address. */
const ADDRESS: RateRule = { rate: 1 / 5, burst: 60 };

/** A page takes one ticket each time that it begins to listen. */
const TICKETS: RateRule = { rate: 1, burst: 60 };

/** One more try to sign in. @throws RequestProblem `rate_limited` */
export type TakeSignIn = (who: { readonly username?: string; readonly addressKey: string }) => Promise<void>;

/** Tries to sign in are counted per name, whether there is such a user or not, and per address. */
export const createSignInLimit =
  (limiter: RateLimiter): TakeSignIn =>
  async ({ username, addressKey }) => {
    await take(limiter, `sign-in:address:${addressKey}`, ADDRESS);
    if (username === undefined) return;
    // A name can be long and can be a password in the wrong field: neither belongs in a key.
    const name = createHash('sha256').update(normalName(username)).digest('base64url');
    await take(limiter, `sign-in:name:${name}`, ACCOUNT);
  };

/** Tickets of streams are counted per user. */
export const createTicketLimit =
  (limiter: RateLimiter) =>
  (userId: string): Promise<void> =>
    take(limiter, `stream-ticket:${userId}`, TICKETS);

async function take(limiter: RateLimiter, key: string, rule: RateRule): Promise<void> {
  const { allowed, retryAfterSeconds } = await limiter.take(key, 1, rule);
  if (!allowed)
    throw new RequestProblem('rate_limited', {}, { 'Retry-After': String(Math.ceil(retryAfterSeconds)) });
}
