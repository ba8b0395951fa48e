import { setMaxListeners } from 'node:events';
import type { Clock } from '../kernel/clock.js';
import { FairtallyError } from '../kernel/errors.js';
import type { Logger } from './port.js';

/** The parts of `process` that a lifecycle uses; a test passes its own. */
export interface ProcessHooks {
  on(event: string, listener: (value: unknown) => void): unknown;
  off(event: string, listener: (value: unknown) => void): unknown;
  exit(code: number): void;
}

export interface LifecycleOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly process: ProcessHooks;
  /** For one release; a slower one is left behind and the next begins. */
  readonly stepTimeoutMs?: number;
  /** For everything after the signal; then the process ends at once. */
  readonly deadlineMs?: number;
  /** The same after a failure: nobody knows whether what is waited for ever comes. */
  readonly failedDeadlineMs?: number;
  /** A parent stops this process and kills it when it must: its signal comes on top of the one that a terminal sends to both. */
  readonly isSupervised?: boolean;
}

export type Release = () => Promise<void> | void;

/**
 * The life of a process: start, work until told to stop, release everything in reverse order, exit.
 *
 * - Each resource registers its release when it is created, so that a start which fails half-way frees what exists.
 * - SIGTERM or SIGINT begin the stop, once, after a start in flight has come to its end.
 * - A second signal (unless supervised), or the deadline, end the process at once with code 1: what is kept must survive
 *   that anyway.
 */
export interface Lifecycle {
  /** Aborts when the stop begins: for a start that waits, and for loops. */
  readonly stopping: AbortSignal;
  /** Whether it was `fail`, not a wish from outside, that began the stop. */
  readonly hasFailed: boolean;
  onStop(name: string, release: Release): void;
  /** Runs `start` and returns when it is done; a failure is logged, releases what exists and exits with code 1. */
  run(start: () => Promise<void>): Promise<void>;
  /** Begins the stop, as SIGTERM does. */
  stop(reason: string): void;
  /** Begins the stop because something that the process cannot work without has broken: exit code 1, and less time for it. */
  fail(reason: string, error: unknown): void;
}

/** Longer than the longest release, which is PostgreSQL's fast shutdown. */
const SAME_SIGNAL_MS = 500;
const STEP_TIMEOUT_MS = 25_000;
const DEADLINE_MS = 45_000;
const FAILED_DEADLINE_MS = 15_000;
/** Loops and pauses that end by `stopping`: more of them than this are a leak. */
const STOPPING_LISTENERS_MAX = 200;

/** The state of one process; see Lifecycle. */
class ProcessLifecycle implements Lifecycle {
  readonly #options: Required<LifecycleOptions>;
  readonly #stopping = new AbortController();
  readonly #releases: { name: string; release: Release }[] = [];
  #start: Promise<void> = Promise.resolve();
  #state: 'new' | 'running' | 'stopping' | 'ended' = 'new';
  #exitCode = 0;
  #hasFailed = false;
  #signalAtMs = -Infinity;

  constructor(options: LifecycleOptions) {
    this.#options = {
      stepTimeoutMs: STEP_TIMEOUT_MS,
      deadlineMs: DEADLINE_MS,
      failedDeadlineMs: FAILED_DEADLINE_MS,
      isSupervised: false,
      ...options,
    };
    setMaxListeners(STOPPING_LISTENERS_MAX, this.#stopping.signal);
  }

  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  get stopping(): AbortSignal {
    return this.#stopping.signal;
  }

  onStop(name: string, release: Release): void {
    if (this.#state === 'ended')
      throw new FairtallyError('lifecycle_ended', `${name} was created after the end`);
    this.#releases.push({ name, release });
  }

  async run(start: () => Promise<void>): Promise<void> {
    if (this.#state !== 'new') throw new FairtallyError('lifecycle_used', 'a lifecycle runs once');
    this.#state = 'running';
    const { process } = this.#options;
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => this.#onSignal(signal));
    for (const event of ['uncaughtException', 'unhandledRejection']) {
      process.on(event, (error) => this.fail(`${event} in this process`, error));
    }
    this.#start = start().catch((error: unknown) => {
      // A start that was interrupted by the stop may well reject: that is no failure of its own.
      if (this.stopping.aborted) this.#options.logger.warn({ err: error }, 'the start was interrupted');
      else this.#stopWith(error, 'the start failed');
    });
    await this.#start;
  }

  stop(reason: string): void {
    if (this.#state === 'stopping' || this.#state === 'ended') return;
    this.#state = 'stopping';
    this.#options.logger.info({ reason }, 'stopping');
    this.#stopping.abort();
    void this.#releaseAll().then(() => this.#exit(this.#exitCode));
    const deadlineMs = this.#hasFailed ? this.#options.failedDeadlineMs : this.#options.deadlineMs;
    void this.#options.clock.sleep(deadlineMs).then(() => {
      if (this.#state === 'ended') return;
      this.#options.logger.error({ deadlineMs }, 'the stop took too long');
      this.#exit(1);
    });
  }

  fail(reason: string, error: unknown): void {
    if (!this.stopping.aborted) this.#hasFailed = true;
    this.#stopWith(error, reason);
  }

  #stopWith(error: unknown, reason: string): void {
    this.#options.logger.error({ err: error }, reason);
    this.#exitCode = 1;
    this.stop(reason);
  }

  #onSignal(signal: string): void {
    const { clock, isSupervised } = this.#options;
    if (this.#state !== 'stopping') {
      this.#signalAtMs = clock.monotonicMs();
      return this.stop(signal);
    }
    // `timeout` and terminals tell a process and its group: what comes at once after the first is the same wish.
    if (isSupervised || clock.monotonicMs() - this.#signalAtMs < SAME_SIGNAL_MS) return;
    this.#options.logger.warn({ signal }, 'a second signal: ending at once');
    this.#exit(1);
  }

  async #releaseAll(): Promise<void> {
    await this.#start;
    for (let next = this.#releases.pop(); next !== undefined; next = this.#releases.pop()) {
      if ((await this.#releaseOne(next.name, next.release)) === 'failed') this.#exitCode = 1;
    }
  }

  async #releaseOne(name: string, release: Release): Promise<'done' | 'failed'> {
    const { clock, logger, stepTimeoutMs } = this.#options;
    const done = new AbortController();
    const timeout = clock.sleep(stepTimeoutMs, done.signal).then(() => {
      throw new FairtallyError(
        'release_timeout',
        `${name} was not released within ${String(stepTimeoutMs)} ms`,
      );
    });
    timeout.catch(() => undefined); // it also settles after the race, when nobody listens
    try {
      await Promise.race([Promise.resolve().then(release), timeout]);
      logger.debug({ resource: name }, 'released');
      return 'done';
    } catch (error) {
      logger.error({ err: error, resource: name }, 'a release failed');
      return 'failed';
    } finally {
      done.abort();
    }
  }

  #exit(code: number): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#options.logger.info({ code }, 'stopped');
    this.#options.process.exit(code);
  }
}

export const createLifecycle = (options: LifecycleOptions): Lifecycle => new ProcessLifecycle(options);
