import type { RateRule } from '../admission/port.js';
import type { ProblemCode } from '../contract/problem.js';
import { refuse, type Refusal } from './answer.js';
import { DEFAULT_JSON_LIMITS, type JsonLimits } from '../contract/strict-json.js';

/** Every bound of the way in. */
export interface IngestLimits {
  /** Bytes of a body as it travels. */
  readonly maxBodyBytes: number;
  /** Bytes after gzip. */
  readonly maxDecodedBytes: number;
  readonly maxEvents: number;
  /** UTF-8 bytes of one event in the form in which the bus carries it. */
  readonly maxEventBytes: number;
  readonly json: JsonLimits;
  /** null: no limit. Addresses pay 1 per request; keys and sessions 1 per event. */
  readonly addressRate: RateRule | null;
  readonly keyRate: RateRule | null;
  readonly playerRate: RateRule | null;
  /** What one process can hold, slow clients included. Beyond either a request is refused before it is read. */
  readonly maxInFlightRequests: number;
  readonly maxInFlightBytes: number;
  /**
   * Events whose bytes are here and that are not answered yet, each request counting as REQUEST_WORK more. With this much
   * in hand the next request is refused before it is read: more would only wait longer.
   */
  readonly maxWork: number;
  /**
   * How long the bus may keep the oldest request waiting before the next is refused, unless there is hardly any work in
   * hand. So the wait has a bound whatever the bus can do at the moment. null: none.
   */
  readonly maxPublishWaitMs: number | null;
  /** Shorter than the lease of an idempotency key. */
  readonly publishTimeoutMs: number;
  /** Identities remembered to answer `duplicate` without publishing. */
  readonly recentEvents: number;
  /** Sessions whose derived secret is kept. */
  readonly sessionSecrets: number;
}

const MIB = 1024 * 1024;

/** A request costs a gateway about as much as eight events of a batch (docs/benchmarks.md). */
export const REQUEST_WORK = 8;
/** An event of a batch that is not taken apart yet. */
export const BYTES_PER_EVENT = 256;

export const DEFAULT_INGEST_LIMITS: IngestLimits = {
  maxBodyBytes: MIB,
  maxDecodedBytes: 4 * MIB,
  maxEvents: 500,
  maxEventBytes: 64 * 1024,
  json: DEFAULT_JSON_LIMITS,
  addressRate: { rate: 20_000, burst: 40_000 },
  keyRate: { rate: 20_000, burst: 20_000 },
  playerRate: { rate: 100, burst: 1_000 },
  maxInFlightRequests: 2_000,
  maxInFlightBytes: 64 * MIB,
  maxWork: 5_000,
  maxPublishWaitMs: 400,
  publishTimeoutMs: 10_000,
  recentEvents: 100_000,
  sessionSecrets: 10_000,
};

/** As GET /v1/config and problems about size show them. */
export const publicLimits = (
  limits: IngestLimits,
): Record<'bodyBytes' | 'inflatedBytes' | 'batchEvents' | 'eventBytes' | 'depth', number> => ({
  bodyBytes: limits.maxBodyBytes,
  inflatedBytes: limits.maxDecodedBytes,
  batchEvents: limits.maxEvents,
  eventBytes: limits.maxEventBytes,
  depth: limits.json.maxDepth,
});

const ABOUT_SIZE: ReadonlySet<ProblemCode> = new Set<ProblemCode>([
  'body_too_large',
  'too_many_events',
  'too_many_keys',
  'too_deep',
  'string_too_long',
  'event_too_large',
]);

/** A refusal by its code; whoever met a limit is told all of them. */
export function sizeRefusal(
  code: ProblemCode,
  limits: IngestLimits,
  pointer?: string,
  detail?: string,
): Refusal {
  const place = {
    ...(pointer === undefined || pointer === '' ? {} : { pointer }),
    ...(detail === undefined ? {} : { detail }),
  };
  return refuse(code, ABOUT_SIZE.has(code) ? { ...place, limits: publicLimits(limits) } : place);
}
