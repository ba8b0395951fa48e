/** Which limit a gateway is past. */
export type Overload = 'disk' | 'unapplied' | 'event_loop';

/** Says, before anything of a request is looked at, how things stand. */
export interface LoadGate {
  /** null: past no limit. */
  readonly overload: Overload | null;
  /** How long the bus has kept the oldest request waiting, at this moment. */
  publishWaitMs(): number;
}

/** One bucket of a GCRA limiter: `rate` units per second on average, `burst` units at once. */
export interface RateRule {
  readonly rate: number;
  readonly burst: number;
}

export interface RateDecision {
  readonly allowed: boolean;
  /** Units left now, and seconds until the bucket is full. For the RateLimit header. */
  readonly remaining: number;
  readonly resetSeconds: number;
  /** Seconds to wait before the same cost can pass; 0 when allowed. */
  readonly retryAfterSeconds: number;
}

/** Generic cell rate algorithm: one number (theoretical arrival time) per key. */
export interface RateLimiter {
  /**
   * Takes `cost` units from the bucket of `key`, or none when it does not have them. A cost above the burst passes when the
   * bucket is full and leaves a debt, so a large batch is slowed, never locked out. Falls back to a local bucket, or
   * rejects with OutageError where it was made to refuse. Answers at once when the bucket is in this process: await it either way.
   */
  take(key: string, cost: number, rule: RateRule): RateDecision | Promise<RateDecision>;
}

export interface StoredAnswer {
  readonly status: number;
  readonly body: string;
}

export type ClaimResult =
  /** Yours for the lease; finish with `complete` or `release`. */
  | { readonly kind: 'claimed'; readonly token: string }
  /** The same key and fingerprint was answered before. */
  | { readonly kind: 'answered'; readonly answer: StoredAnswer }
  /** The same key with another fingerprint. */
  | { readonly kind: 'reused' }
  /** The first request with it is still running. */
  | { readonly kind: 'in-progress'; readonly retryAfterSeconds: number }
  /** The store cannot be reached: go on without it. */
  | { readonly kind: 'unavailable' };

/** Idempotency keys (docs: signing): a lease of 30 s, answers kept 24 h. Losing the store costs the replayed answer, never an effect. */
export interface IdempotencyStore {
  claim(scope: string, key: string, fingerprint: string): Promise<ClaimResult>;
  complete(scope: string, key: string, token: string, answer: StoredAnswer): Promise<void>;
  release(scope: string, key: string, token: string): Promise<void>;
}
