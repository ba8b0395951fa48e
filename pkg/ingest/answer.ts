import type { RateDecision, RateRule } from '../admission/port.js';
import type { Random } from '../kernel/random.js';
import { problemKind, problemOf, type ProblemCode, type ProblemExtras } from '../contract/problem.js';

export type Headers = Readonly<Record<string, string>>;

/** What is written to the client. */
export interface Answer {
  readonly status: number;
  readonly body: string;
  readonly headers: Headers;
  /** null for success. */
  readonly code: ProblemCode | null;
}

/** An answer that is no success. */
export type ProblemAnswer = Answer & { readonly code: ProblemCode };

/** A request refused as a whole, before it has an answer's form. */
export interface Refusal {
  readonly ok: false;
  readonly code: ProblemCode;
  readonly extras?: ProblemExtras;
  readonly headers?: Headers;
}

export const refuse = (code: ProblemCode, extras: ProblemExtras = {}, headers: Headers = {}): Refusal => ({
  ok: false,
  code,
  extras,
  headers,
});

/** RFC 9110 wants a 401 to say how to do better. */
const CHALLENGE: Headers = { 'WWW-Authenticate': 'HMAC-SHA256 version="v1"' };

export function problemAnswer({ code, extras, headers = {} }: Refusal, requestId: string): Answer {
  const { status } = problemKind(code);
  const body = JSON.stringify(problemOf(code, requestId, extras));
  return { status, body, code, headers: status === 401 ? { ...CHALLENGE, ...headers } : headers };
}

/** The same for a code without extras, of which all but the request id is made in advance: for who refuses by the thousand. */
export function problemAnswers(code: ProblemCode): (requestId: string, headers: Headers) => ProblemAnswer {
  const { status } = problemKind(code);
  const [before = '', after = ''] = JSON.stringify(problemOf(code, REQUEST_ID_PLACE)).split(REQUEST_ID_PLACE);
  return (requestId, headers) => ({ status, body: before + requestId + after, code, headers });
}

/** Like an accepted or made request id it stands in JSON as it is. */
const REQUEST_ID_PLACE = 'request-id-stands-here';

/** `Retry-After` in whole seconds, never earlier than asked and never 0. */
export const retryAfter = (seconds: number): Headers => ({
  'Retry-After': String(Math.max(1, Math.ceil(seconds))),
});

/** A little apart, so that those who were turned away together do not come back together. */
export const retrySoon = (random: Pick<Random, 'unit'>): Headers => retryAfter(5 * random.unit());

/** Somebody has to make room first. */
export const retryLater = (random: Pick<Random, 'unit'>): Headers => retryAfter(15 + 30 * random.unit());

/** The two fields of draft-ietf-httpapi-ratelimit-headers, for the budget called `name`. */
export const rateHeaders = (name: string, decision: RateDecision, rule: RateRule): Headers => ({
  RateLimit: `"${name}";r=${String(decision.remaining)};t=${String(Math.ceil(decision.resetSeconds))}`,
  'RateLimit-Policy': `"${name}";q=${String(rule.burst)};w=${String(Math.ceil(rule.burst / rule.rate))}`,
});
