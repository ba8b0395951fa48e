import type { RateDecision, RateLimiter, RateRule } from '../admission/port.js';
import type { TakeAddressBudget } from '../query/port.js';
import { rateHeaders, retryAfter } from './answer.js';
import { budgetKey, type ClientAddress } from './client-address.js';

/** Takes one request from the budget of an address. */
export const payAddress = (
  limiter: RateLimiter,
  rule: RateRule,
  address: string,
): RateDecision | Promise<RateDecision> => limiter.take(`address:${budgetKey(address)}`, 1, rule);

/** What an address may ask of reads; the budget is the one that its events pay from too. null: no limit. */
export const createAddressBudget =
  (limiter: RateLimiter, rule: RateRule | null, clientAddress: ClientAddress): TakeAddressBudget =>
  async (request) => {
    if (rule === null) return { allowed: true, headers: {} };
    const decision = await payAddress(limiter, rule, clientAddress(request));
    const headers = { ...rateHeaders('address', decision, rule), ...retryAfter(decision.retryAfterSeconds) };
    return { allowed: decision.allowed, headers };
  };
