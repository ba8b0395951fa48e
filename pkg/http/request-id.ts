import type { RequestHandler } from 'express';
import { acceptedRequestId } from '../contract/problem.js';
import type { Random } from '../kernel/random.js';

const REQUEST_ID_BYTES = 12;

/** Every answer has an id, the one that came with the request if it is fit, and none is kept by anybody unless its route says otherwise. */
export const beginRequest =
  (random: Pick<Random, 'bytes'>): RequestHandler =>
  (request, response, next) => {
    const sent = acceptedRequestId(request.headers['x-request-id']);
    const id = sent ?? random.bytes(REQUEST_ID_BYTES).toString('base64url');
    response.locals['requestId'] = id;
    response.set({ 'X-Request-Id': id, 'Cache-Control': 'no-store' });
    next();
  };
