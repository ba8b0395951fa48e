import type { IncomingMessage, ServerResponse } from 'node:http';
import { acceptedRequestId, PROBLEM_CONTENT_TYPE } from '../contract/problem.js';
import type { Clock } from '../kernel/clock.js';
import { readTraceparent, traceparentOf } from '../kernel/traceparent.js';
import { Accepter, failureOf } from './accept.js';
import { problemAnswer, type Answer } from './answer.js';
import { Doorkeeper, type ShedReason } from './doorkeeper.js';
import { createEndOfTurn } from './end-of-turn.js';
import { IngestMetrics } from './ingest-metrics.js';
import type { IngestDeps } from './port.js';
import type { Posted, Route } from './parse-request.js';
import { declaredLength, Hold, InFlight } from './read-body.js';
import { Receiver } from './receive.js';
import { endRequestSpan, startRequestSpan } from './request-span.js';
import { RefusalTeller } from './tell-refusals.js';

export type IngestListener = (request: IncomingMessage, response: ServerResponse) => boolean;

const ROUTES: Readonly<Record<string, Route>> = {
  '/v1/events': 'single',
  '/events': 'single',
  '/v1/events/batch': 'batch',
};

/** An unread rest of a body up to this size is read and thrown away to keep the connection; beyond it the connection ends. */
const DISCARD_MAX_BYTES = 64 * 1024;

/** How long a client that still sends is borne, so that it meets our answer before the end of the connection. */
const LINGER_MS = 500;

/**
 * The way in for events, on bare node:http. Answers false to what is not its business, having touched nothing, so that the
 * caller can hand the request on.
 */
export function createIngestListener(deps: IngestDeps): IngestListener {
  const inFlight = new InFlight(deps.clock);
  const metrics = new IngestMetrics(deps.metrics);
  const doorkeeper = new Doorkeeper(deps, inFlight);
  const answerTo = createAnswer(deps, metrics);
  const requestIdOf = requestIds(deps);
  const reply = createReply(deps);
  const endOfTurn = createEndOfTurn();

  const serve = async (request: IncomingMessage, response: ServerResponse, route: Route): Promise<void> => {
    const startedMs = deps.clock.monotonicMs();
    const requestId = requestIdOf(request);
    const traceparent = clientTraceparent(request);
    const path = pathOf(request.url ?? '');
    const span = deps.tracer === null ? null : startRequestSpan(deps.tracer, path, traceparent);
    const messageTraceparent = span === null ? traceparent : span.traceparent;
    const hold = new Hold(inFlight);
    inFlight.requests += 1;
    metrics.holds(inFlight);
    try {
      const answer = await answerTo(request, { route, requestId, traceparent, messageTraceparent, hold });
      if (span !== null) endRequestSpan(span, answer);
      // Written together: each write by itself wakes its reader, which costs a third of a request's processor time.
      if (answer.code === null) await endOfTurn();
      else {
        hold.release(); // its bytes are not needed any more, though its client may still send
        metrics.refused(answer.code);
      }
      await reply(request, response, answer, requestId);
      if (answer.status === 202) metrics.acknowledged.observe((deps.clock.monotonicMs() - startedMs) / 1000);
    } finally {
      hold.release();
      inFlight.requests -= 1;
      metrics.holds(inFlight);
    }
  };

  const turnAway = (request: IncomingMessage, response: ServerResponse, reason: ShedReason): Lingering => {
    const requestId = requestIdOf(request);
    const answer = doorkeeper.answer(reason, requestId);
    metrics.shed(reason, answer.code);
    return reply(request, response, answer, requestId);
  };

  return (request, response) => {
    const route = request.method === 'POST' ? routeOf(request.url ?? '') : undefined;
    if (route === undefined) return false;
    const failed = (error: unknown): void => {
      deps.logger.error({ err: error }, 'an answer could not be written');
      response.destroy();
    };
    try {
      const reason = doorkeeper.shedFor(request);
      const over = reason === null ? serve(request, response, route) : turnAway(request, response, reason);
      over?.catch(failed);
    } catch (error) {
      failed(error);
    }
    return true;
  };
}

/** Never rejects: what fails has an answer too. */
function createAnswer(
  deps: IngestDeps,
  metrics: IngestMetrics,
): (request: IncomingMessage, posted: Posted) => Promise<Answer> {
  const receiver = new Receiver(deps);
  const teller = new RefusalTeller(deps);
  const accepter = new Accepter(deps, metrics, teller);
  return async (request, posted) => {
    try {
      const received = await receiver.receive(request, posted.hold);
      const result = received.ok ? await accepter.accept(received, posted) : received;
      if (!('ok' in result)) return result;
      if (received.ok) teller.request(received, result);
      else teller.turnedAway(request, received);
      return problemAnswer(result, posted.requestId);
    } catch (error) {
      const failure = failureOf(error, deps.random);
      const { requestId } = posted;
      deps.logger.error({ err: error, requestId, code: failure.code }, 'events could not be taken');
      return problemAnswer(failure, requestId);
    }
  };
}

/** null: the answer is written, and nothing is left to wait for. */
type Lingering = Promise<void> | null;

type Reply = (
  request: IncomingMessage,
  response: ServerResponse,
  answer: Answer,
  requestId: string,
) => Lingering;

const createReply =
  ({ clock, corsOrigins }: IngestDeps): Reply =>
  (request, response, answer, requestId) => {
    const headers = { ...corsHeaders(request, corsOrigins), 'X-Request-Id': requestId };
    return send(request, response, answer, headers) ? linger(request, response, clock) : null;
  };

/** null when there is none, or none that can be read: such a one is as if it were not there (W3C Trace Context). */
function clientTraceparent({ headers: { traceparent } }: IncomingMessage): string | null {
  const trace = typeof traceparent === 'string' ? readTraceparent(traceparent) : null;
  return trace === null ? null : traceparentOf(trace);
}

function pathOf(url: string): string {
  const query = url.indexOf('?');
  return query === -1 ? url : url.slice(0, query);
}

function routeOf(url: string): Route | undefined {
  const path = pathOf(url);
  return Object.hasOwn(ROUTES, path) ? ROUTES[path] : undefined;
}

/** The client's own if we would repeat it, else one that is unique over processes by its beginning, cheap by its counter. */
function requestIds({ random }: IngestDeps): (request: IncomingMessage) => string {
  const process = random.bytes(9).toString('base64url');
  let count = 0;
  return (request) =>
    acceptedRequestId(request.headers['x-request-id']) ?? `${process}-${(count += 1).toString(36)}`;
}

function corsHeaders(request: IncomingMessage, origins: readonly string[]): Record<string, string> {
  const { origin } = request.headers;
  if (origin === undefined || origins.length === 0) return {};
  if (!origins.includes('*') && !origins.includes(origin)) return { Vary: 'Origin' };
  return {
    'Access-Control-Allow-Origin': origin,
    'Access-Control-Expose-Headers':
      'Retry-After, RateLimit, RateLimit-Policy, X-Request-Id, Idempotent-Replayed',
    Vary: 'Origin',
  };
}

/** Writes the answer. True when the body of the request is cut off: then the response is still open. */
function send(
  request: IncomingMessage,
  response: ServerResponse,
  { status, body, headers }: Answer,
  more: Record<string, string>,
): boolean {
  if (response.destroyed) return false;
  const isCut = !request.complete && (declaredLength(request) ?? Infinity) > DISCARD_MAX_BYTES;
  response.writeHead(status, {
    'Content-Type': status < 400 ? 'application/json' : PROBLEM_CONTENT_TYPE,
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    ...headers,
    ...more,
    ...(isCut ? { Connection: 'close' } : null),
  });
  if (isCut) response.write(body);
  else response.end(body);
  return isCut;
}

/** A connection closed with unread bytes is reset, and a reset may overtake the answer: read on for a moment. */
async function linger(request: IncomingMessage, response: ServerResponse, clock: Clock): Promise<void> {
  request.resume();
  await Promise.race([clock.sleep(LINGER_MS), new Promise((resolve) => request.once('close', resolve))]);
  response.end();
}
