import type { Clock } from '../kernel/clock.js';
import type { Random } from '../kernel/random.js';
import { gcraDecision, gcraStep } from './gcra.js';
import { ANSWER_TTL_MS, LEASE_MS } from './lease.js';
import type {
  ClaimResult,
  IdempotencyStore,
  RateDecision,
  RateLimiter,
  RateRule,
  StoredAnswer,
} from './port.js';

/** Buckets or answers looked at for eviction per call: keeps every call constant in time. */
const EVICTIONS_PER_CALL = 4;

export interface MemoryRateLimiterOptions {
  readonly clock: Clock;
  /** Most buckets held; default 100,000. Beyond it the bucket longest untouched is forgotten. */
  readonly maxBuckets?: number;
}

/** Limits of this process alone. Full buckets are dropped as calls come, so memory follows the keys in use. */
export class MemoryRateLimiter implements RateLimiter {
  /** Ordered by last use: a key is moved to the end when it is taken from. */
  readonly #buckets = new Map<string, number>();
  readonly #clock: Clock;
  readonly #maxBuckets: number;

  constructor(options: MemoryRateLimiterOptions) {
    this.#clock = options.clock;
    this.#maxBuckets = options.maxBuckets ?? 100_000;
  }

  get size(): number {
    return this.#buckets.size;
  }

  take(key: string, cost: number, rule: RateRule): RateDecision {
    const nowMs = this.#clock.monotonicMs();
    const tatMs = this.#buckets.get(key) ?? 0;
    const step = gcraStep(tatMs, nowMs, cost, rule);
    if (step.allowed) {
      this.#buckets.delete(key);
      this.#buckets.set(key, step.tatMs);
      this.#evict(nowMs);
    }
    return gcraDecision(step, nowMs, cost, rule);
  }

  #evict(nowMs: number): void {
    let looked = 0;
    for (const [key, tatMs] of this.#buckets) {
      const crowded = this.#buckets.size > this.#maxBuckets;
      if ((tatMs > nowMs && !crowded) || looked === EVICTIONS_PER_CALL) return;
      looked += 1;
      this.#buckets.delete(key);
    }
  }
}

interface Claim {
  readonly fingerprint: string;
  readonly token: string;
  readonly untilMs: number;
  readonly answer: StoredAnswer | null;
  readonly size: number;
}

export interface MemoryIdempotencyOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Most keys held (default 100,000) and most characters of keys and answers (default 64 Mi); beyond, the oldest go first. */
  readonly maxKeys?: number;
  readonly maxCharacters?: number;
}

/** Idempotency keys of this process alone. Leases and ages are on the monotonic clock: a stepping wall clock moves nothing. */
export class MemoryIdempotencyStore implements IdempotencyStore {
  /** Ordered by last write. */
  readonly #claims = new Map<string, Claim>();
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #maxKeys: number;
  readonly #maxCharacters: number;
  #characters = 0;

  constructor(options: MemoryIdempotencyOptions) {
    this.#clock = options.clock;
    this.#random = options.random;
    this.#maxKeys = options.maxKeys ?? 100_000;
    this.#maxCharacters = options.maxCharacters ?? 64 * 1024 * 1024;
  }

  get size(): number {
    return this.#claims.size;
  }

  async claim(scope: string, key: string, fingerprint: string): Promise<ClaimResult> {
    const name = nameOf(scope, key);
    const nowMs = this.#clock.monotonicMs();
    const held = this.#claims.get(name);
    if (held !== undefined && held.untilMs > nowMs) {
      if (held.fingerprint !== fingerprint) return { kind: 'reused' };
      if (held.answer !== null) return { kind: 'answered', answer: held.answer };
      return { kind: 'in-progress', retryAfterSeconds: (held.untilMs - nowMs) / 1000 };
    }
    const token = this.#random.bytes(12).toString('base64url');
    this.#put(name, { fingerprint, token, untilMs: nowMs + LEASE_MS, answer: null, size: name.length });
    return { kind: 'claimed', token };
  }

  async complete(scope: string, key: string, token: string, answer: StoredAnswer): Promise<void> {
    const name = nameOf(scope, key);
    const nowMs = this.#clock.monotonicMs();
    const held = this.#claims.get(name);
    if (held === undefined || held.token !== token || held.untilMs <= nowMs) return;
    const size = name.length + answer.body.length;
    this.#put(name, { ...held, untilMs: nowMs + ANSWER_TTL_MS, answer, size });
  }

  async release(scope: string, key: string, token: string): Promise<void> {
    const name = nameOf(scope, key);
    const held = this.#claims.get(name);
    if (held !== undefined && held.token === token && held.answer === null) this.#drop(name, held);
  }

  #put(name: string, claim: Claim): void {
    const before = this.#claims.get(name);
    if (before !== undefined) this.#drop(name, before);
    this.#claims.set(name, claim);
    this.#characters += claim.size;
    this.#evict(this.#clock.monotonicMs());
  }

  #drop(name: string, claim: Claim): void {
    this.#claims.delete(name);
    this.#characters -= claim.size;
  }

  #evict(nowMs: number): void {
    let looked = 0;
    for (const [name, claim] of this.#claims) {
      const crowded = this.#claims.size > this.#maxKeys || this.#characters > this.#maxCharacters;
      if (!crowded && (claim.untilMs > nowMs || looked === EVICTIONS_PER_CALL)) return;
      looked += 1;
      this.#drop(name, claim);
    }
  }
}

/** Keys have no line feed in their alphabet (docs: signing), so the pair cannot be read two ways. */
const nameOf = (scope: string, key: string): string => `${scope}\n${key}`;
