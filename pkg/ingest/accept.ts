import type { RateDecision, RateRule } from '../admission/port.js';
import type { EventContext } from '../contract/event.js';
import { isProblemCode, problemKind } from '../contract/problem.js';
import { FairtallyError } from '../kernel/errors.js';
import type { Random } from '../kernel/random.js';
import {
  problemAnswer,
  rateHeaders,
  refuse,
  retryAfter,
  retryLater,
  retrySoon,
  type Answer,
  type Headers,
  type Refusal,
} from './answer.js';
import type { Caller } from './credentials.js';
import { encodeAnswer } from './encode.js';
import type { EventResult } from './event-result.js';
import type { IngestMetrics } from './ingest-metrics.js';
import { acceptanceWindow, type Admission } from './judge-event.js';
import { REQUEST_WORK, sizeRefusal } from './limits.js';
import { once } from './once.js';
import { parseRequest, type Parsed, type Posted, type Route } from './parse-request.js';
import type { IngestDeps } from './port.js';
import { Publisher } from './publish.js';
import type { Received } from './receive.js';
import type { RefusalTeller } from './tell-refusals.js';

/** The second half of the way in: from verified bytes to events on the bus, and an answer. */
export class Accepter {
  readonly #deps: IngestDeps;
  readonly #metrics: IngestMetrics;
  readonly #teller: RefusalTeller;
  readonly #publisher: Publisher;

  constructor(deps: IngestDeps, metrics: IngestMetrics, teller: RefusalTeller) {
    this.#deps = deps;
    this.#metrics = metrics;
    this.#teller = teller;
    this.#publisher = new Publisher(deps);
  }

  /** Rejects with what a dependency rejects with; nothing is acknowledged then, and a claim is given back. */
  async accept(received: Received, posted: Posted): Promise<Answer | Refusal> {
    const { caller, headers } = received;
    // One unit before the body is looked at, so that an empty budget costs us no parsing; the rest once the events are counted.
    const first = await this.#pay(caller, 1);
    if (!first.ok) return first;
    const parsed = await parseRequest(received, posted, this.#deps.limits);
    if (!parsed.ok) return parsed;
    posted.hold.work(REQUEST_WORK + parsed.items.length);
    const more = parsed.items.length - 1;
    const paid = more > 0 ? await this.#pay(caller, more) : first;
    if (!paid.ok) return paid;
    const admission = await this.#admission(received, posted.route, parsed.context);
    if (!('caller' in admission)) return admission;
    const work = async (): Promise<Answer> => {
      const results = await this.#publisher.publish(parsed.items, admission, posted.messageTraceparent);
      return this.#answer(results, parsed, admission, posted.requestId, paid.headers);
    };
    const key = headers.idempotencyKey;
    return key === null ? work() : once(this.#deps.idempotency, key, received, parsed, work);
  }

  /** Signing keys have a budget of their own, sessions share their player's. */
  #pay(caller: Caller, cost: number): Paid | Promise<Paid> {
    const { keyId, gameId, playerId } = caller;
    const { keyRate, playerRate } = this.#deps.limits;
    const name = playerId === null ? 'key' : 'player';
    const rule = playerId === null ? keyRate : playerRate;
    if (rule === null) return { ok: true, headers: {} };
    const bucket = playerId === null ? `key:${keyId}` : `player:${gameId}:${playerId}`;
    const taken = this.#deps.limiter.take(bucket, cost, rule);
    return taken instanceof Promise
      ? taken.then((decision) => paid(name, decision, rule))
      : paid(name, taken, rule);
  }

  async #admission(
    { caller, headers, nowMs }: Received,
    route: Route,
    context: EventContext | null,
  ): Promise<Admission | Refusal> {
    const game = this.#deps.keyRing.game(caller.gameId);
    const definition = await this.#deps.definitions.inForce(caller.gameId, nowMs);
    if (game === null || definition === null) return refuse('definition_unavailable', {}, retryAfter(5));
    const window = acceptanceWindow(game, caller.scopes.has('replay'), nowMs);
    const { idempotencyKey } = headers;
    return { caller, definition, window, nowMs, isBatch: route === 'batch', idempotencyKey, context };
  }

  /** A batch is answered 202 whatever became of its events; a single event that was rejected is a problem of its own. */
  #answer(
    results: readonly EventResult[],
    parsed: Parsed,
    admission: Admission,
    requestId: string,
    headers: Headers,
  ): Answer {
    const counts = { accepted: 0, duplicates: 0, rejected: 0 };
    const { gameId } = admission.caller;
    const build = admission.context?.build;
    for (const result of results) {
      if (result.status === 'rejected') {
        counts.rejected += 1;
        this.#metrics.rejected(gameId, build, result.code);
        this.#teller.event(admission, parsed, result);
      } else if (result.status === 'duplicate') counts.duplicates += 1;
      else counts.accepted += 1;
    }
    this.#metrics.taken(gameId, build, counts);
    const only = results[0];
    if (!admission.isBatch && only?.status === 'rejected') {
      const refusal = sizeRefusal(only.code, this.#deps.limits, only.pointer, only.detail);
      return problemAnswer({ ...refusal, headers }, requestId);
    }
    return { status: 202, body: encodeAnswer(counts, results), headers, code: null };
  }
}

type Paid = { readonly ok: true; readonly headers: Headers } | Refusal;

function paid(name: string, decision: RateDecision, rule: RateRule): Paid {
  const headers = rateHeaders(name, decision, rule);
  if (decision.allowed) return { ok: true, headers };
  return refuse('rate_limited', {}, { ...headers, ...retryAfter(decision.retryAfterSeconds) });
}

/** What a dependency's error is to a client: never a fault of theirs. */
export function failureOf(error: unknown, random: Pick<Random, 'unit'>): Refusal {
  if (!(error instanceof FairtallyError)) return refuse('internal_error');
  const { code } = error;
  // Only a gateway that stops closes its bus.
  if (code === 'bus_closed') return refuse('draining', {}, retrySoon(random));
  if (code === 'storage_full') return refuse(code, {}, retryLater(random));
  if (isProblemCode(code) && problemKind(code).status >= 500) return refuse(code, {}, retrySoon(random));
  return error.retriable ? refuse('dependency_unavailable', {}, retrySoon(random)) : refuse('internal_error');
}
