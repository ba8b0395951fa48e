import express, { type Express, type Request, type RequestHandler, type Response } from 'express';
import helmet from 'helmet';
import { bodyOf } from '../../http/body.js';
import { BodyRoom } from '../../http/body-room.js';
import { answeredInTime, type Reading } from '../../http/in-time.js';
import { problemHandler } from '../../http/problem-handler.js';
import { beginRequest } from '../../http/request-id.js';
import { RequestProblem } from '../../http/request-problem.js';
import { bearLong, endSlowBodies } from '../../http/slow-bodies.js';
import type { Clock } from '../../kernel/clock.js';
import type { Random } from '../../kernel/random.js';
import type { Logger } from '../../runtime/port.js';
import type { GameDatabase } from '../port.js';
import { createInputReaders, type ReadInput } from './check-input.js';
import type { ApiDocument, Operation } from './document.js';
import { admit, type Access, type Admitted } from './guard.js';
import type { AdminRoutes, AnswerHeaders, Call, GameCall, Headers, Sent } from './routes.js';
import { refuseOtherOrigins } from './same-origin.js';

export interface AdminAppOptions {
  readonly document: ApiDocument;
  /** Every operation of the document, no other. */
  readonly routes: AdminRoutes;
  readonly games: GameDatabase;
  readonly access: Access;
  /** Whether one more request from its address fits the budget, and what to tell it when it does not. */
  readonly takeAddressBudget: (
    request: Request,
  ) => Promise<{ readonly allowed: boolean; readonly headers: Headers }>;
  readonly clientAddress: (request: Request) => string;
  /** As people reach us; null: whatever host they ask. */
  readonly origin: string | null;
  /** What is served beside the API: health, the dashboard. Mounted after it. */
  readonly mounts: readonly ((app: Express) => void)[];
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: Random;
}

/** Answers of the API are data: nothing in them is a page. The dashboard's page brings a policy of its own. */
const CONTENT_SECURITY = {
  useDefaults: false,
  directives: {
    defaultSrc: ["'none'"],
    frameAncestors: ["'none'"],
    baseUri: ["'none'"],
    formAction: ["'none'"],
  },
};

/** The admin API: every operation of the document with its role, and nothing else. @throws Error when routes and document differ */
export function createAdminApp(options: AdminAppOptions): Express {
  const { document, routes, logger, clock, random, mounts } = options;
  refuseDifferences(document, routes);
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.disable('query parser'); // check-input.ts reads the query
  app.enable('case sensitive routing');
  app.enable('strict routing');
  app.use(
    readDots,
    beginRequest(random),
    endSlowBodies(clock),
    helmet({ contentSecurityPolicy: CONTENT_SECURITY }),
  );
  const inputReader = createInputReaders(document);
  const rooms = openRooms();
  for (const [path, operations] of places(document.operations)) {
    const route = app.route(path.replaceAll(/\{(\w+)\}/g, ':$1'));
    route.all(checkMethod(operations), spendAddress(options));
    for (const operation of operations) {
      route[operation.method](
        ...handlersOf(operation, { readInput: inputReader(operation), rooms }, options),
      );
    }
  }
  for (const mount of mounts) mount(app);
  app.use((_request, _response, next) => next(new RequestProblem('not_found')));
  app.use(problemHandler({ logger, clock, random, challenge: 'Bearer realm="fairtally"' }));
  return app;
}

const MARKED_DOTS = /\/,(\.{1,2})(?=\/|$)/g;

/**
 * A part of an address that is `.` or `..` is taken away by whoever sends it, encoded or not (RFC 3986 section 5.2.4; the URL
 * Standard). So a player of that name is asked for with a comma before it, which an encoded name never has.
 */
const readDots: RequestHandler = (request, _response, next) => {
  const [path = '', ...query] = request.url.split('?');
  request.url = [path.replaceAll(MARKED_DOTS, '/$1'), ...query].join('?');
  next();
};

/** Operations by path. One that says more literally comes before one that has a parameter in the same place. */
function places(operations: readonly Operation[]): readonly (readonly [string, readonly Operation[]])[] {
  const paths = [...new Set(operations.map(({ path }) => path))];
  const sortKey = (path: string): string => path.replaceAll('{', '\uffff');
  return paths
    .sort((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1))
    .map((path) => [path, operations.filter((operation) => operation.path === path)] as const);
}

/** An operation without a handler would be a 404 that the document denies; a handler without one would have no role. */
function refuseDifferences({ operations }: ApiDocument, { game, signedIn, anyone }: AdminRoutes): void {
  const groups = { game, signedIn, anyone };
  const handled = Object.entries(groups).flatMap(([group, part]) =>
    Object.keys(part).map((id) => `${group}.${id}`),
  );
  const described = operations.map((operation) => `${groupOf(operation)}.${operation.id}`);
  const missing = described.filter((name) => !handled.includes(name));
  const unknown = handled.filter((name) => !described.includes(name));
  if (missing.length + unknown.length === 0) return;
  throw new Error(
    `routes and document differ: without a route: ${missing.join(', ') || 'none'}; without an entry: ${unknown.join(', ') || 'none'}`,
  );
}

const groupOf = ({ isOfGame, role }: Operation): keyof AdminRoutes =>
  isOfGame ? 'game' : role === 'anyone' ? 'anyone' : 'signedIn';

function checkMethod(operations: readonly Operation[]): RequestHandler {
  // A stream has no head without its body: whoever asks for one would use up the ticket and hear nothing.
  const methods = operations.flatMap(({ method, isStream }) =>
    method === 'get' && !isStream ? ['GET', 'HEAD'] : [method.toUpperCase()],
  );
  const allow = { Allow: methods.join(', ') };
  return (request, _response, next) =>
    next(methods.includes(request.method) ? undefined : new RequestProblem('method_not_allowed', {}, allow));
}

const spendAddress =
  ({ takeAddressBudget }: AdminAppOptions): RequestHandler =>
  async (request, _response, next) => {
    const { allowed, headers } = await takeAddressBudget(request);
    next(allowed ? undefined : new RequestProblem('rate_limited', {}, headers));
  };

const MIB = 1024 * 1024;

/**
 * Bodies are in memory until they are answered. Of recordings there are two at once, each somebody else's; what is sent without
 * a sign-in takes no room from who has signed in.
 */
const openRooms = () => ({
  uploads: new BodyRoom({ bytesMax: 32 * MIB, bytesMaxOfOne: 16 * MIB }),
  signedIn: new BodyRoom({ bytesMax: 16 * MIB, bytesMaxOfOne: 2 * MIB }),
  anyone: new BodyRoom({ bytesMax: 8 * MIB, bytesMaxOfOne: MIB }),
});
type Rooms = ReturnType<typeof openRooms>;

const roomOf = ({ isUpload, role }: Operation): keyof Rooms =>
  isUpload ? 'uploads' : role === 'anyone' ? 'anyone' : 'signedIn';

type AnyHandler = (call: object) => Promise<Reply>;
type Reply = { readonly status: number; readonly body?: unknown; readonly headers?: AnswerHeaders } | Sent;

/** Who asks, and from where, is settled before a byte of the body is read. */
function handlersOf(
  operation: Operation,
  { readInput, rooms }: { readonly readInput: ReadInput; readonly rooms: Rooms },
  options: AdminAppOptions,
): RequestHandler[] {
  const handler = (options.routes[groupOf(operation)] as Readonly<Record<string, AnyHandler>>)[operation.id];
  if (handler === undefined) throw new Error(`${operation.id} has no route`);
  const { clock } = options;
  // What is read late is told to nobody. A stream holds a place that somebody must leave again, and a change may take its time.
  const isRead = operation.method === 'get' && !operation.isStream;
  const guard: RequestHandler = async (request, response, next) => {
    if (operation.method !== 'get') refuseOtherOrigins(request, options.origin);
    const { gameId } = request.params as Record<string, string>;
    const reading: Reading = { response, clock, sinceMs: clock.monotonicMs() };
    const admitted = admit(operation, request, gameId, options.access);
    response.locals['reading'] = reading;
    response.locals['admitted'] = await answeredInTime(admitted, reading);
    next();
  };
  const answer: RequestHandler = async (request, response) => {
    const input = readInput(request as Request<Record<string, string>>);
    const admitted = response.locals['admitted'] as Admitted;
    const call: Call<never> = {
      ...(input as Pick<Call<never>, 'path' | 'query' | 'body'>),
      requestId: String(response.locals['requestId']),
      address: options.clientAddress(request),
      request,
    };
    const answered = handler(callOf(operation, call, admitted, options)).then((reply) =>
      send(response, reply),
    );
    await (isRead ? answeredInTime(answered, response.locals['reading'] as Reading) : answered);
  };
  const withBody: RequestHandler = async (request, response, next) => {
    const { person } = response.locals['admitted'] as Admitted;
    const holder = person === null ? options.clientAddress(request) : person.userId;
    const leave = rooms[roomOf(operation)].take(holder, request, operation.bodyBytesMax);
    if (operation.isUpload) bearLong(response);
    try {
      request.body = await bodyOf(request, clock, operation.bodyBytesMax);
      await answer(request, response, next);
    } finally {
      leave();
    }
  };
  return [guard, withBody];
}

function callOf(
  { isOfGame }: Operation,
  call: Call<never>,
  { person, role }: Admitted,
  { games }: AdminAppOptions,
): object {
  if (person === null) return call;
  if (!isOfGame || role === null) return { ...call, person };
  const { gameId } = call.path as { gameId: string };
  const actor = { userId: person.userId, name: person.username, requestId: call.requestId };
  const ofGame: Pick<GameCall<never>, 'person' | 'gameId' | 'role' | 'read' | 'change'> = {
    person,
    gameId,
    role,
    read: (work) => games.read(gameId, work),
    change: (work) => games.change(gameId, actor, work),
  };
  return { ...call, ...ofGame };
}

async function send(response: Response, reply: Reply): Promise<void> {
  if ('send' in reply) return reply.send(response);
  const { status, body, headers = {} } = reply;
  response.set(headers).status(status);
  if (body === undefined) response.end();
  else response.json(body);
}
