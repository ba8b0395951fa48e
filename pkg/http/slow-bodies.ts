import type { RequestHandler, Response } from 'express';
import type { Clock } from '../kernel/clock.js';

/** How long a body may take, from its head to its last byte, unless `bearLong` was said of it. */
const BODY_MAX_MS = 15_000;

/** What Node itself says to who is too slow. */
const TOO_SLOW = 'HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n';

/**
 * Ends connections whose body is too slow. A server of Node has one such limit for all its requests; where some may take
 * longer, that limit is theirs, and this keeps all others as short as before.
 */
export const endSlowBodies =
  (clock: Pick<Clock, 'sleep'>, bodyMaxMs = BODY_MAX_MS): RequestHandler =>
  (request, response, next) => {
    const { 'content-length': declared = '0', 'transfer-encoding': framing } = request.headers;
    next();
    if (declared === '0' && framing === undefined) return;
    const ended = new AbortController();
    request.once('close', () => ended.abort());
    void clock.sleep(bodyMaxMs, ended.signal).then(() => {
      if (request.complete || request.destroyed || response.locals[LONG] === true) return;
      if (!response.headersSent) request.socket.write(TOO_SLOW);
      request.socket.destroy();
    });
  };

const LONG = 'isBorneLong';

/** Leaves the body of a request to the limit of the server. */
export const bearLong = (response: Pick<Response, 'locals'>): void => {
  response.locals[LONG] = true;
};
