import type { Express, Request, RequestHandler, Response } from 'express';
import type { Clock } from '../kernel/clock.js';
import { readBody } from '../http/body.js';
import { answeredInTime } from '../http/in-time.js';
import { cors } from './cors.js';
import type { TakeAddressBudget } from './port.js';
import { RequestProblem } from '../http/request-problem.js';

export type Handler = (request: Request<Record<string, string>>, response: Response) => Promise<void> | void;

/** A path and what it answers to. GET answers HEAD too. */
export interface Place {
  readonly path: string;
  readonly GET?: Handler;
  readonly POST?: Handler;
  readonly DELETE?: Handler;
  /** Readable without a signature, by pages of every origin. */
  readonly isPublic?: true;
  /** Costs an address nothing: load balancers ask it without end. */
  readonly isFree?: true;
}

export type Serve = (place: Place) => void;

/** A group of places, mounted in order. */
export type Routes = (serve: Serve) => void;

export interface ServeDeps {
  readonly corsOrigins: readonly string[];
  readonly takeAddressBudget: TakeAddressBudget;
  readonly clock: Clock;
}

/** Puts places on an app. Before any handler: CORS, the method, the address budget, the bytes of the body. */
export function createServe(app: Express, { corsOrigins, takeAddressBudget, clock }: ServeDeps): Serve {
  const spend: RequestHandler = async (request, _response, next) => {
    const { allowed, headers } = await takeAddressBudget(request);
    next(allowed ? undefined : new RequestProblem('rate_limited', {}, headers));
  };
  return ({ path, GET, POST, DELETE, isPublic = false, isFree = false }) => {
    const methods = [
      ...(GET ? ['GET', 'HEAD'] : []),
      ...(POST ? ['POST'] : []),
      ...(DELETE ? ['DELETE'] : []),
    ];
    const route = app.route(path);
    route.all(
      cors(corsOrigins, { isPublic, methods: methods.join(', ') }),
      checkMethod(methods),
      ...(isPublic ? [varyBySigner] : []),
      ...(isFree ? [] : [spend]),
      readBody(clock),
    );
    if (GET) route.get(inTime(GET, clock));
    if (POST) route.post(POST as RequestHandler);
    if (DELETE) route.delete(DELETE as RequestHandler);
  };
}

const inTime =
  (read: Handler, clock: Clock): RequestHandler<Record<string, string>> =>
  async (request, response) => {
    const answer = read(request, response);
    if (answer !== undefined) await answeredInTime(answer, { response, clock, sinceMs: clock.monotonicMs() });
  };

/** RFC 9110 sections 9.3.7 and 15.5.6: both answers name the methods. */
function checkMethod(methods: readonly string[]): RequestHandler {
  const allow = { Allow: [...methods, 'OPTIONS'].join(', ') };
  return (request, response, next) => {
    if (request.method === 'OPTIONS') response.set(allow).status(204).end();
    else
      next(
        methods.includes(request.method) ? undefined : new RequestProblem('method_not_allowed', {}, allow),
      );
  };
}

/** One address answers everybody and, to the signed, for the game of their key: a shared cache must keep the two apart. */
const varyBySigner: RequestHandler = (_request, response, next) => {
  response.vary('X-Key-Id, X-Signature');
  next();
};
