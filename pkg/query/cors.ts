import type { RequestHandler } from 'express';

const PREFLIGHT_SECONDS = '600';
const PLAIN_HEADERS = 'Content-Type, If-None-Match, X-Request-Id';
const SIGNED_HEADERS = `${PLAIN_HEADERS}, Content-Encoding, Idempotency-Key, X-Key-Id, X-Signature, X-Timestamp`;
const ANSWER_HEADERS = 'ETag, Idempotent-Replayed, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id';

export interface CorsPlace {
  /** Readable by every page, as long as the request is not signed. */
  readonly isPublic: boolean;
  readonly methods: string;
}

/**
 * Lets pages read answers (Fetch standard, CORS protocol). Pages of the configured origins may sign; any other page may ask
 * what is public. Signatures are headers and no cookies, so credentials are never allowed.
 */
export const cors =
  (origins: readonly string[], { isPublic, methods }: CorsPlace): RequestHandler =>
  (request, response, next) => {
    const { origin } = request.headers;
    const isConfigured = origin !== undefined && (origins.includes('*') || origins.includes(origin));
    if (origins.length > 0) response.vary('Origin');
    if (isConfigured || isPublic) {
      response.set({
        'Access-Control-Allow-Origin': isConfigured ? origin : '*',
        'Access-Control-Expose-Headers': ANSWER_HEADERS,
      });
      if (request.method === 'OPTIONS')
        response.set({
          'Access-Control-Allow-Methods': methods,
          'Access-Control-Allow-Headers': isConfigured ? SIGNED_HEADERS : PLAIN_HEADERS,
          'Access-Control-Max-Age': PREFLIGHT_SECONDS,
        });
    }
    next();
  };
