import type { IncomingMessage } from 'node:http';
import type { RateDecision, RateRule } from '../admission/port.js';
import { isRequestTarget } from '../signing/canonical.js';
import {
  canonicalOf,
  checkTime,
  readSignedHeaders,
  verifyMac,
  verifyPlainMac,
  type DistinctHeaders,
  type SignedHeaders,
} from '../signing/verify.js';
import { payAddress } from './address-budget.js';
import { rateHeaders, refuse, retryAfter, retrySoon, type Refusal } from './answer.js';
import { Credentials, DUMMY_SECRET, type Caller } from './credentials.js';
import { readMediaType, type MediaType } from './decode-body.js';
import { BYTES_PER_EVENT, publicLimits, REQUEST_WORK } from './limits.js';
import type { IngestDeps } from './port.js';
import { declaredLength, readBody, type Body, type Hold } from './read-body.js';

/** A request whose sender is known and whose bytes are theirs. */
export interface Received {
  readonly ok: true;
  readonly caller: Caller;
  readonly headers: SignedHeaders;
  /** As it was signed: with the prefix that a proxy stripped. */
  readonly target: string;
  readonly media: MediaType;
  readonly body: Body;
  /** When the headers arrived. */
  readonly nowMs: number;
}

/** A request that is turned away before it is taken apart. */
export interface TurnedAway extends Refusal {
  /** Who signed it, where the signature itself was right. */
  readonly signer?: Caller;
}

/** The first half of the way in: from an open request to a verified one. Knows nothing of events. */
export class Receiver {
  readonly #deps: IngestDeps;
  readonly #credentials: Credentials;

  constructor(deps: IngestDeps) {
    this.#deps = deps;
    this.#credentials = new Credentials(deps.keyRing, deps.limits.sessionSecrets, deps.metrics);
  }

  /** The order is the law of docs/signing.md: what costs least and needs no secret comes first. */
  async receive(request: IncomingMessage, hold: Hold): Promise<Received | TurnedAway> {
    const nowMs = this.#deps.clock.now();
    const paying = this.#payAddress(request);
    const unpaid = paying instanceof Promise ? await paying : paying;
    if (unpaid !== null) return unpaid;
    const read = readSignedHeaders(distinctHeaders(request));
    if (!read.ok) return refuse(read.code);
    const { headers } = read;
    const target = this.#deps.signedPathPrefix + (request.url ?? '');
    if (!isRequestTarget(target)) return refuse('invalid_signature');
    if (checkTime(headers, nowMs) !== 'ok') {
      return refuse('timestamp_out_of_tolerance', { serverTime: Math.floor(nowMs / 1000) });
    }
    const isSession = headers.keyId.startsWith('ps1.');
    if (isSession && !this.#credentials.sessionsAreKnown(headers.keyId))
      return refuse('sessions_unavailable', {}, this.#soon());
    const caller = this.#credentials.find(headers.keyId);
    const media = readMediaType(request.headers['content-type']);
    if (media === null) return refuse('unsupported_media_type');
    const { limits } = this.#deps;
    if ((declaredLength(request) ?? 0) > limits.maxBodyBytes) return this.#tooLarge();
    const body = await readBody(request, limits, hold);
    if (!body.ok) {
      if (body.code === 'overloaded') return refuse('overloaded', {}, this.#soon());
      return body.code === 'body_too_large' ? this.#tooLarge() : refuse(body.code);
    }
    hold.work(REQUEST_WORK + Math.ceil(body.bytes.length / BYTES_PER_EVENT));
    const line = { method: request.method ?? '', target };
    return this.#verify({ line, headers, body, caller, media, nowMs });
  }

  #verify(signed: Signed): Received | TurnedAway {
    const { line, headers, body, caller, media, nowMs } = signed;
    const secret = caller?.secret ?? DUMMY_SECRET;
    const isRight =
      headers.scheme === 'v1'
        ? verifyMac(line, headers, body.sha256Hex, secret)
        : verifyPlainMac(headers, body.bytes, secret);
    const isAllowed =
      isRight &&
      caller !== null &&
      caller.schemes.has(headers.scheme) &&
      this.#credentials.isUsable(caller, nowMs);
    if (!isAllowed) {
      const isShown = caller?.debug === true && headers.scheme === 'v1';
      const refusal = refuse(
        'invalid_signature',
        isShown ? { canonical: canonicalOf(line, headers, body.sha256Hex) } : {},
      );
      return isRight && caller !== null ? { ...refusal, signer: caller } : refusal;
    }
    this.#credentials.remember(caller);
    if (!caller.scopes.has('ingest')) return { ...refuse('scope_missing'), signer: caller };
    return { ok: true, caller, headers, target: line.target, media, body, nowMs };
  }

  /** null when it could pay. */
  #payAddress(request: IncomingMessage): Refusal | null | Promise<Refusal | null> {
    const rule = this.#deps.limits.addressRate;
    if (rule === null) return null;
    const taken = payAddress(this.#deps.addressLimiter, rule, this.#deps.clientAddress(request));
    return taken instanceof Promise
      ? taken.then((decision) => overBudget(decision, rule))
      : overBudget(taken, rule);
  }

  #tooLarge(): Refusal {
    return refuse('body_too_large', { limits: publicLimits(this.#deps.limits) });
  }

  #soon(): Readonly<Record<string, string>> {
    return retrySoon(this.#deps.random);
  }
}

function overBudget(decision: RateDecision, rule: RateRule): Refusal | null {
  if (decision.allowed) return null;
  const headers = { ...rateHeaders('address', decision, rule), ...retryAfter(decision.retryAfterSeconds) };
  return refuse('rate_limited', {}, headers);
}

const SIGNED_HEADERS = [
  'x-key-id',
  'x-timestamp',
  'idempotency-key',
  'x-signature',
  'content-encoding',
] as const;

/**
 * The signed headers as `headersDistinct` has them. Node joins repeats of them by a comma, so without one there are none,
 * and the far cheaper `headers`, which Node has made anyway, says the same.
 */
function distinctHeaders(request: IncomingMessage): DistinctHeaders {
  const distinct: Record<string, readonly string[]> = {};
  for (const name of SIGNED_HEADERS) {
    const value = request.headers[name];
    if (value === undefined) continue;
    if (typeof value !== 'string' || value.includes(',')) return request.headersDistinct;
    distinct[name] = [value];
  }
  return distinct;
}

interface Signed {
  readonly line: { readonly method: string; readonly target: string };
  readonly headers: SignedHeaders;
  readonly body: Body;
  readonly caller: Caller | null;
  readonly media: MediaType;
  readonly nowMs: number;
}
