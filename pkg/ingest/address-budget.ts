import type { RateLimiter, RateRule } from '../admission/port.js';
import type { TakeAddressBudget } from '../query/port.js';
import { rateHeaders, retryAfter } from './answer.js';
import { budgetKey, type ClientAddress } from './client-address.js';

/** What an address may ask of reads; the budget is the one that its events pay from too. null: no limit. */
export const createAddressBudget =
  (limiter: RateLimiter, rule: RateRule | null, clientAddress: ClientAddress): TakeAddressBudget =>
  async (request) => {
    if (rule === null) return { allowed: true, headers: {} };
    const decision = await limiter.take(`address:${budgetKey(clientAddress(request))}`, 1, rule);
    const headers = { ...rateHeaders('address', decision, rule), ...retryAfter(decision.retryAfterSeconds) };
    return { allowed: decision.allowed, headers };
  };
