import type { ErrorRequestHandler, Request, Response } from 'express';
import { problemOf, PROBLEM_CONTENT_TYPE } from '../contract/problem.js';
import type { Clock } from '../kernel/clock.js';
import { FairtallyError, OutageError } from '../kernel/errors.js';
import type { Random } from '../kernel/random.js';
import type { Logger } from '../runtime/port.js';
import { RequestProblem, wrongParameter } from './request-problem.js';

export interface ProblemHandlerDeps {
  readonly logger: Logger;
  readonly clock: Pick<Clock, 'sleep'>;
  readonly random: Pick<Random, 'unit'>;
  /** How one says who one is, for `WWW-Authenticate`. */
  readonly challenge: string;
}

/** How long a client that still sends is borne, so that it meets our answer before the end of the connection. */
const LINGER_MS = 500;

/** The errors of the rooms behind that are the asker's; every other one is ours. */
const ASKERS: Readonly<Record<string, (error: FairtallyError) => RequestProblem>> = {
  not_found: () => new RequestProblem('not_found'),
  // The rooms say in their own words what they take.
  invalid_parameter: ({ message }) => new RequestProblem('invalid_parameter', { detail: message }),
  invalid_cursor: () => wrongParameter('cursor'),
  bad_cursor: () => wrongParameter('cursor'),
  bad_limit: () => wrongParameter('limit'),
  definition_unavailable: () => new RequestProblem('definition_unavailable'),
};

/** Every error answer of Express: problem details (RFC 9457) that repeat nothing of what was sent. */
export const problemHandler =
  ({ logger, clock, random, challenge }: ProblemHandlerDeps): ErrorRequestHandler =>
  async (error: unknown, request, response, next) => {
    if (response.headersSent) return next(error);
    const { problem: code, extras, headers } = problemFor(error);
    const requestId = String(response.locals['requestId']);
    const problem = problemOf(code, requestId, extras);
    if (problem.status >= 500) {
      const level = problem.status === 503 ? 'warn' : 'error';
      logger[level]({ err: error, requestId, code, method: request.method }, 'a request failed');
    }
    if (problem.status === 401) response.set('WWW-Authenticate', challenge);
    // A little apart, so that those who were turned away together do not come back together.
    if (problem.status === 429 || problem.status === 503)
      response.set('Retry-After', String(1 + Math.round(2 * random.unit())));
    response.removeHeader('ETag');
    response.set({ 'Content-Type': PROBLEM_CONTENT_TYPE, 'Cache-Control': 'no-store', ...headers });
    response.status(problem.status);
    await send(request, response, Buffer.from(JSON.stringify(problem)), clock);
  };

function problemFor(error: unknown): RequestProblem {
  if (error instanceof RequestProblem) return error;
  if (error instanceof OutageError) return new RequestProblem('dependency_unavailable');
  if (error instanceof FairtallyError && Object.hasOwn(ASKERS, error.code))
    return ASKERS[error.code]?.(error) ?? new RequestProblem('internal_error');
  return new RequestProblem(isPathFault(error) ? 'invalid_parameter' : 'internal_error');
}

/** Express says so of an escape in a path that is no UTF-8. */
const isPathFault = (error: unknown): boolean =>
  error instanceof URIError && 'status' in error && error.status === 400;

async function send(
  request: Request,
  response: Response,
  body: Buffer,
  clock: Pick<Clock, 'sleep'>,
): Promise<void> {
  const { 'content-length': declared = '0', 'transfer-encoding': framing } = request.headers;
  const isCut = !request.complete && (framing !== undefined || declared !== '0');
  response.set('Content-Length', String(body.length));
  if (!isCut) {
    response.end(body);
    return;
  }
  // A connection closed with unread bytes is reset, and a reset may overtake the answer: read on for a moment.
  response.set('Connection', 'close');
  response.write(body);
  const done = new AbortController();
  request.once('close', () => done.abort()).resume();
  await clock.sleep(LINGER_MS, done.signal);
  response.end();
}
