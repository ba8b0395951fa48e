import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Cluster, Redis } from 'ioredis';
import type { Clock } from '../kernel/clock.js';
import { OutageError } from '../kernel/errors.js';
import type { Random } from '../kernel/random.js';
import type { KnownLife } from '../postgres/port.js';
import type { Counter, Metrics } from '../runtime/port.js';
import { GCRA_TOLERANCE_MS, gcraDecision } from './gcra.js';
import { ANSWER_TTL_MS, LEASE_MS } from './lease.js';
import { MemoryRateLimiter } from './memory.js';
import type {
  ClaimResult,
  IdempotencyStore,
  RateDecision,
  RateLimiter,
  RateRule,
  StoredAnswer,
} from './port.js';

/** As `createRedisClient` makes it: a server that is dead or frozen fails a command instead of holding it. */
export type RedisClient = Redis | Cluster;

/** After a failure the server is left alone for this long: requests do not each wait for the same timeout. */
const PAUSE_AFTER_FAILURE_MS = 1_000;

/** The part of a rule that one process grants alone while the shared buckets cannot be reached. */
const LOCAL_SHARE = 0.5;

interface Script {
  readonly text: string;
  readonly sha1: string;
}

function script(file: string): Script {
  const text = readFileSync(new URL(file, import.meta.url), 'utf8');
  return { text, sha1: createHash('sha1').update(text).digest('hex') };
}

const GCRA = script('./gcra-1.lua');
const CLAIM = script('./idempotency-claim-1.lua');
const COMPLETE = script('./idempotency-complete-1.lua');
const RELEASE = script('./idempotency-release-1.lua');

export interface RedisAdmissionOptions {
  readonly redis: RedisClient;
  readonly clock: Clock;
  readonly metrics: Metrics;
}

/** Runs scripts while the server answers; while it does not, says so at once and counts it. */
class Scripts {
  readonly #redis: RedisClient;
  readonly #clock: Clock;
  readonly #fallbacks: Counter;
  readonly #store: string;
  #pausedUntilMs = -Infinity;

  constructor(options: RedisAdmissionOptions, store: string) {
    this.#redis = options.redis;
    this.#clock = options.clock;
    this.#store = store;
    this.#fallbacks = options.metrics.counter(
      'fairtally_admission_store_fallbacks_total',
      'Calls answered without the shared store because it could not be reached',
      ['store'],
    );
  }

  /** null when the server could not be asked. The scripts answer integers and texts only, which RESP2 and RESP3 write alike. */
  async run(script: Script, key: string, ...args: string[]): Promise<unknown> {
    if (this.#redis.status === 'ready' && this.#clock.monotonicMs() >= this.#pausedUntilMs) {
      try {
        return await this.#ask(script, key, args);
      } catch {
        this.#pausedUntilMs = this.#clock.monotonicMs() + PAUSE_AFTER_FAILURE_MS;
      }
    }
    this.#fallbacks.inc({ store: this.#store });
    return null;
  }

  #ask({ text, sha1 }: Script, key: string, args: readonly string[]): Promise<unknown> {
    return this.#redis.evalsha(sha1, 1, key, ...args).catch((error: unknown) => {
      if (error instanceof Error && error.message.startsWith('NOSCRIPT')) {
        return this.#redis.eval(text, 1, key, ...args);
      }
      throw error;
    });
  }
}

/**
 * Buckets shared by all gateways, on the server's clock (gcra-1.lua). While Redis cannot be reached a bucket of this
 * process with half of the rule stands in, and each such call is counted; or, where guessing must not get easier by that, the
 * call is refused.
 */
export class RedisRateLimiter implements RateLimiter {
  readonly #options: RedisAdmissionOptions;
  readonly #scripts: Scripts;
  readonly #local: MemoryRateLimiter | null;

  constructor(
    options: RedisAdmissionOptions & { readonly whileAway: 'limit locally' | 'refuse' },
    scripts = new Scripts(options, 'rate_limit'),
  ) {
    this.#options = options;
    this.#scripts = scripts;
    this.#local = options.whileAway === 'refuse' ? null : new MemoryRateLimiter({ clock: options.clock });
  }

  /** One that refuses while Redis is away. Of the two whichever finds it away first spares the other the wait. */
  refusing(): RedisRateLimiter {
    return new RedisRateLimiter({ ...this.#options, whileAway: 'refuse' }, this.#scripts);
  }

  /** @throws OutageError while Redis is away, where that is what it was made for */
  async take(key: string, cost: number, rule: RateRule): Promise<RateDecision> {
    const numbers = [cost, rule.rate, rule.burst, GCRA_TOLERANCE_MS].map(String);
    const reply = await this.#scripts.run(GCRA, `rate_limit:{${key}}`, ...numbers);
    if (!Array.isArray(reply)) {
      if (this.#local === null) throw new OutageError('Redis');
      return this.#local.take(key, cost, strictest(rule));
    }
    const [allowed, tatMs, nowMs] = reply.map(Number) as [number, number, number];
    return gcraDecision({ allowed: allowed === 1, tatMs }, nowMs, cost, rule);
  }
}

const strictest = (rule: RateRule): RateRule => ({
  rate: rule.rate * LOCAL_SHARE,
  burst: Math.max(1, rule.burst * LOCAL_SHARE),
});

/**
 * Idempotency keys shared by all gateways. Leases and ages are the server's own expiry, so no clock of ours takes part. Keys belong to
 * a life of the database: an answer of before a restore tells of events that are in no table any more.
 */
export class RedisIdempotencyStore implements IdempotencyStore {
  readonly #scripts: Scripts;
  readonly #random: Random;
  readonly #life: KnownLife;

  constructor(options: RedisAdmissionOptions & { readonly random: Random; readonly life: KnownLife }) {
    this.#scripts = new Scripts(options, 'idempotency');
    this.#random = options.random;
    this.#life = options.life;
  }

  async claim(scope: string, key: string, fingerprint: string): Promise<ClaimResult> {
    const token = this.#random.bytes(12).toString('base64url');
    const name = this.#nameOf(scope, key);
    if (name === null) return { kind: 'unavailable' };
    const reply = await this.#scripts.run(CLAIM, name, fingerprint, token, String(LEASE_MS));
    return Array.isArray(reply) ? claimResult(reply.map(String), token) : { kind: 'unavailable' };
  }

  async complete(scope: string, key: string, token: string, answer: StoredAnswer): Promise<void> {
    const { status, body } = answer;
    const name = this.#nameOf(scope, key);
    if (name === null) return; // then nothing was claimed
    await this.#scripts.run(COMPLETE, name, token, String(status), body, String(ANSWER_TTL_MS));
  }

  async release(scope: string, key: string, token: string): Promise<void> {
    const name = this.#nameOf(scope, key);
    if (name !== null) await this.#scripts.run(RELEASE, name, token);
  }

  /** The braces make scope and key one Cluster slot; the length keeps apart a scope and a key that share a border. */
  #nameOf(scope: string, key: string): string | null {
    const life = this.#life();
    return life === null ? null : `idempotency:{${life}:${String(scope.length)}:${scope}:${key}}`;
  }
}

function claimResult(reply: readonly string[], token: string): ClaimResult {
  const [kind, first = '', second = ''] = reply;
  if (kind === 'claimed') return { kind, token };
  if (kind === 'answered') return { kind, answer: { status: Number(first), body: second } };
  if (kind === 'reused') return { kind };
  return { kind: 'in-progress', retryAfterSeconds: Math.max(0, Number(first)) / 1000 };
}
