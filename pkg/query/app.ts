import { randomUUID } from 'node:crypto';
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express';
import helmet from 'helmet';
import {
  acceptedRequestId,
  isProblemCode,
  problemOf,
  PROBLEM_CONTENT_TYPE,
  type ProblemCode,
  type ProblemExtras,
} from '../contract/problem.js';
import { FairtallyError, OutageError } from '../kernel/errors.js';
import type { Logger } from '../runtime/port.js';
import { cors } from './cors.js';
import { RequestProblem } from './request.js';

export interface AppOptions {
  readonly logger: Logger;
  readonly corsOrigins: readonly string[];
  /** Mounted in order. */
  readonly routes: readonly ((app: Express) => void)[];
}

const BODY_BYTES_MAX = 16 * 1024;
const RETRY_AFTER_SECONDS = 2;

/** Everything but ingest: reads, sessions, receipts, health, documents. Bodies arrive raw, because signatures cover bytes. */
export function createApp({ logger, corsOrigins, routes }: AppOptions): Express {
  const app = express();
  app.disable('x-powered-by');
  app.set('etag', 'strong');
  app.set('query parser', 'simple');
  app.use(requestId);
  app.use(helmet({ crossOriginResourcePolicy: { policy: 'cross-origin' } }));
  app.use(cors(corsOrigins));
  app.use(express.raw({ type: () => true, limit: BODY_BYTES_MAX, inflate: false }));
  for (const route of routes) route(app);
  app.use((_request, _response, next) => next(new RequestProblem('not_found')));
  app.use(errorHandler(logger));
  return app;
}

const requestId: RequestHandler = (request, response, next) => {
  const id = acceptedRequestId(request.headers['x-request-id']) ?? randomUUID();
  response.locals['requestId'] = id;
  response.setHeader('X-Request-Id', id);
  next();
};

interface Told {
  readonly code: ProblemCode;
  readonly extras: ProblemExtras;
  readonly retryAfterSeconds: number | null;
}

function tellError(error: unknown): Told {
  if (error instanceof RequestProblem) {
    return { code: error.problem, extras: error.extras, retryAfterSeconds: error.retryAfterSeconds };
  }
  if (error instanceof OutageError) {
    return { code: 'dependency_unavailable', extras: {}, retryAfterSeconds: RETRY_AFTER_SECONDS };
  }
  const code =
    error instanceof FairtallyError && isProblemCode(error.code) ? error.code : frameworkCode(error);
  return { code, extras: {}, retryAfterSeconds: null };
}

/** What Express and its body reader refuse carries a status; its text is not shown. */
function frameworkCode(error: unknown): ProblemCode {
  const status = typeof error === 'object' && error !== null && 'status' in error ? error.status : 500;
  if (status === 413) return 'body_too_large';
  if (status === 415) return 'unsupported_encoding';
  return typeof status === 'number' && status >= 400 && status < 500 ? 'invalid_parameter' : 'internal_error';
}

const errorHandler =
  (logger: Logger): ErrorRequestHandler =>
  (error: unknown, request, response, next) => {
    if (response.headersSent) return next(error);
    const { code, extras, retryAfterSeconds } = tellError(error);
    const id = String(response.locals['requestId']);
    const problem = problemOf(code, id, extras);
    if (problem.status >= 500)
      logger.error({ err: error, requestId: id, method: request.method }, 'a request failed');
    if (retryAfterSeconds !== null) response.setHeader('Retry-After', String(retryAfterSeconds));
    response.removeHeader('ETag');
    response.setHeader('Cache-Control', 'no-store');
    response.status(problem.status).type(PROBLEM_CONTENT_TYPE).send(JSON.stringify(problem));
  };
