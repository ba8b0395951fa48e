import express, { type Express, type RequestHandler } from 'express';
import helmet from 'helmet';
import { acceptedRequestId } from '../contract/problem.js';
import type { Clock } from '../kernel/clock.js';
import type { Random } from '../kernel/random.js';
import type { Logger } from '../runtime/port.js';
import type { TakeAddressBudget } from './port.js';
import { problemHandler } from './problem-handler.js';
import { RequestProblem } from './request-problem.js';
import { createServe, type Routes } from './serve.js';

export interface AppOptions {
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: Random;
  readonly corsOrigins: readonly string[];
  readonly takeAddressBudget: TakeAddressBudget;
  /** Mounted in order. */
  readonly routes: readonly Routes[];
}

const REQUEST_ID_BYTES = 12;

/** Nothing here is a page, but for /docs, which says so itself. */
const CONTENT_SECURITY = {
  useDefaults: false,
  directives: {
    defaultSrc: ["'none'"],
    baseUri: ["'none'"],
    formAction: ["'none'"],
    frameAncestors: ["'none'"],
  },
};

/** Everything but ingest: reads, sessions, receipts, health, documents. Paths are exact: case and a slash at the end count. */
export function createApp({ routes, logger, clock, random, ...serving }: AppOptions): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag'); // what may be cached has one of its own
  app.disable('query parser'); // parameters.ts reads the query
  app.enable('case sensitive routing');
  app.enable('strict routing');
  app.use(begin(random), helmet({ contentSecurityPolicy: CONTENT_SECURITY }));
  const serve = createServe(app, { clock, ...serving });
  for (const mount of routes) mount(serve);
  app.use((_request, _response, next) => next(new RequestProblem('not_found')));
  app.use(problemHandler({ logger, clock, random }));
  return app;
}

/** Every answer has an id, and none is kept by anybody unless its route says otherwise. */
const begin =
  (random: Pick<Random, 'bytes'>): RequestHandler =>
  (request, response, next) => {
    const sent = acceptedRequestId(request.headers['x-request-id']);
    const id = sent ?? random.bytes(REQUEST_ID_BYTES).toString('base64url');
    response.locals['requestId'] = id;
    response.set({ 'X-Request-Id': id, 'Cache-Control': 'no-store' });
    next();
  };
