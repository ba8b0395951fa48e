import type { IncomingMessage, ServerResponse } from 'node:http';
import type { RequestHandler } from 'express';

const PREFLIGHT_SECONDS = '600';
const REQUEST_HEADERS =
  'Content-Type, Content-Encoding, Idempotency-Key, X-Key-Id, X-Request-Id, X-Signature, X-Timestamp';
const ANSWER_HEADERS = 'ETag, Idempotent-Replayed, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id';

/** Reads that need no signature are open to every page. */
export const PUBLIC_CORS: Readonly<Record<string, string>> = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Expose-Headers': ANSWER_HEADERS,
};

/** Lets a page of a configured origin read an answer. For the plain listener and for Express alike. */
export function applyCors(
  request: IncomingMessage,
  response: ServerResponse,
  origins: readonly string[],
): boolean {
  const { origin } = request.headers;
  if (origin === undefined || origins.length === 0) return false;
  response.setHeader('Vary', 'Origin');
  if (!origins.includes('*') && !origins.includes(origin)) return false;
  response.setHeader('Access-Control-Allow-Origin', origin);
  response.setHeader('Access-Control-Expose-Headers', ANSWER_HEADERS);
  return true;
}

/** Answers preflights (Fetch standard, CORS protocol). Signed headers are no cookies, so credentials are never allowed. */
export const cors =
  (origins: readonly string[]): RequestHandler =>
  (request, response, next) => {
    const isAllowed = applyCors(request, response, origins);
    if (request.method !== 'OPTIONS') return next();
    if (isAllowed) {
      response.setHeader('Access-Control-Allow-Methods', 'GET, POST, DELETE');
      response.setHeader('Access-Control-Allow-Headers', REQUEST_HEADERS);
      response.setHeader('Access-Control-Max-Age', PREFLIGHT_SECONDS);
    }
    response.status(204).end();
  };
