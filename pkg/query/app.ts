import express, { type Express } from 'express';
import helmet from 'helmet';
import type { Clock } from '../kernel/clock.js';
import type { Random } from '../kernel/random.js';
import type { Logger } from '../runtime/port.js';
import type { TakeAddressBudget } from './port.js';
import { problemHandler } from '../http/problem-handler.js';
import { beginRequest } from '../http/request-id.js';
import { RequestProblem } from '../http/request-problem.js';
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
  app.use(beginRequest(random), helmet({ contentSecurityPolicy: CONTENT_SECURITY }));
  const serve = createServe(app, { clock, ...serving });
  for (const mount of routes) mount(serve);
  app.use((_request, _response, next) => next(new RequestProblem('not_found')));
  app.use(problemHandler({ logger, clock, random, challenge: 'HMAC-SHA256 version="v1"' }));
  return app;
}
