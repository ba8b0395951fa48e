import { createHash } from 'node:crypto';
import type { RateLimiter, RateRule } from '../../admission/port.js';
import { RequestProblem } from '../../http/request-problem.js';
import { normalName } from './users.postgres.js';

/** A person mistypes a few times; thirty in a row, and three a minute afterwards, are far from guessing a password. */
const PERSON: RateRule = { rate: 1 / 20, burst: 30 };
/**
 * From everywhere together, but for browsers that know the name. So wide that one address alone, which has spent its own
 * thirty, keeps nobody else out, and far from guessing a password: 14,400 tries a day.
 */
const NAME: RateRule = { rate: 1 / 6, burst: 300 };
/** An office shares an address. */
const ADDRESS: RateRule = { rate: 1 / 5, burst: 60 };

/** A page takes one ticket each time that it begins to listen. */
const TICKETS: RateRule = { rate: 1, burst: 60 };

/** One more try to sign in. @throws RequestProblem `rate_limited` */
export type TakeSignIn = (who: {
  readonly username?: string;
  readonly addressKey: string;
  /** Of the browser, when somebody of this name has signed in there before (`Devices`). */
  readonly deviceId?: string | null;
}) => Promise<void>;

/**
 * Tries to sign in are counted per address, per name and address, and per name, whether there is such a user or not. A browser
 * in which somebody of that name has signed in is counted by itself: strangers who try a name do not keep its owner out.
 */
export const createSignInLimit =
  (limiter: RateLimiter): TakeSignIn =>
  async ({ username, addressKey, deviceId = null }) => {
    await take(limiter, `sign-in:address:${addressKey}`, ADDRESS);
    if (username === undefined) return;
    // A name can be long and can be a password in the wrong field: neither belongs in a key.
    const name = createHash('sha256').update(normalName(username)).digest('base64url');
    if (deviceId !== null) return take(limiter, `sign-in:device:${deviceId}`, PERSON);
    await take(limiter, `sign-in:name:${name}:${addressKey}`, PERSON);
    await take(limiter, `sign-in:name:${name}`, NAME);
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
