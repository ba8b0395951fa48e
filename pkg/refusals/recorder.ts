import type { Clock } from '../kernel/clock.js';
import { OutageError } from '../kernel/errors.js';
import type { Counter, Logger, Metrics } from '../runtime/port.js';
import { FairBuffer } from './fair-buffer.js';
import { MinuteCounts } from './minute-counts.js';
import type {
  MinuteCount,
  RefusalDetails,
  RefusalKind,
  RefusalSink,
  RefusalStore,
  ToldRefusal,
} from './port.js';

/** How many refusals may wait to be written, how many a game may tell in a second, and how many are written at once. */
export interface Share {
  readonly waitingMax: number;
  readonly perGameAndSecondMax: number;
  readonly batchMax: number;
}

/** A stranger who knows the id of a key can make refusals at will: theirs fit into what is small and theirs alone. */
export const VERIFIED_SHARE: Share = { waitingMax: 2_000, perGameAndSecondMax: 200, batchMax: 450 };
export const UNVERIFIED_SHARE: Share = { waitingMax: 200, perGameAndSecondMax: 20, batchMax: 50 };

const COUNTS_AT_ONCE = 1_000;
/** What the database itself refuses is tried again: a deadlock passes, a row that cannot be written does not. Its counts go alone then. */
const TRIES_MAX = 3;
const TRIM_EVERY_MS = 30_000;

export interface RecorderParts {
  readonly store: RefusalStore;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

interface Batch {
  readonly refusals: readonly ToldRefusal[];
  readonly counts: readonly MinuteCount[];
  tries: number;
}

/**
 * Takes note of refusals in memory and writes them now and then: nobody who is refused waits for a database. What finds no
 * room is counted in `fairtally_refusals_dropped_total`; the counts by minute hold it all the same.
 */
export class RefusalRecorder implements RefusalSink {
  readonly #parts: RecorderParts;
  readonly #dropped: Counter;
  readonly #verified: Waiting;
  readonly #unverified: Waiting;
  readonly #counts = new MinuteCounts();
  /** Written to since they were last trimmed. */
  #written = new Set<string>();
  #trimmedAtMs: number;
  /** What is being written, or could not be. */
  #inHand: Batch | null = null;

  constructor(parts: RecorderParts) {
    this.#parts = parts;
    this.#verified = new Waiting(VERIFIED_SHARE, parts.clock);
    this.#unverified = new Waiting(UNVERIFIED_SHARE, parts.clock);
    this.#trimmedAtMs = parts.clock.monotonicMs();
    this.#dropped = parts.metrics.counter(
      'fairtally_refusals_dropped_total',
      'Refusals not kept for the event debugger, by why',
      ['reason'],
    );
  }

  tell(kind: RefusalKind, describe: () => RefusalDetails): void {
    if (!this.#counts.add(kind)) this.#drop('counts');
    const waiting = kind.isVerified ? this.#verified : this.#unverified;
    if (!waiting.isInTurn(kind.gameId)) return this.#drop('rate');
    try {
      if (waiting.buffer.put({ ...kind, ...describe() }) > 0) this.#drop('full');
    } catch {
      this.#drop('failed'); // what is only told to an operator must not become the answer to an event that was taken
    }
  }

  /**
   * Writes one batch, and trims from time to time. One at a time. Never rejects: what an outage kept is tried again by the
   * next one, and a commit whose answer was lost is then written twice.
   */
  async flush(): Promise<void> {
    const batch = (this.#inHand ??= this.#nextBatch());
    if (batch === null) return this.#trim();
    try {
      await this.#parts.store.write(batch.refusals, batch.counts);
    } catch (error) {
      return this.#failed(batch, error);
    }
    this.#inHand = null;
    for (const { gameId } of batch.refusals) this.#written.add(gameId);
    await this.#trim();
  }

  /** For the end, when nothing more comes: all that waits, until a write fails. */
  async flushAll(): Promise<void> {
    do await this.flush();
    while (this.#inHand === null && this.#isMore());
  }

  #isMore(): boolean {
    return this.#verified.buffer.size + this.#unverified.buffer.size + this.#counts.size > 0;
  }

  #nextBatch(): Batch | null {
    const refusals = [...this.#verified.take(), ...this.#unverified.take()];
    const counts = this.#counts.take(COUNTS_AT_ONCE);
    return refusals.length + counts.length === 0 ? null : { refusals, counts, tries: 0 };
  }

  #failed(batch: Batch, error: unknown): void {
    batch.tries += 1;
    if (batch.tries === 1) this.#parts.logger.warn({ err: error }, 'refusals could not be written');
    if (error instanceof OutageError || batch.tries < TRIES_MAX) return;
    const { refusals, counts } = batch;
    this.#drop('failed', refusals.length === 0 ? counts.length : refusals.length);
    this.#inHand = refusals.length === 0 ? null : { refusals: [], counts, tries: 0 };
  }

  async #trim(): Promise<void> {
    const { store, clock, logger } = this.#parts;
    const nowMs = clock.monotonicMs();
    if (this.#written.size === 0 || nowMs - this.#trimmedAtMs < TRIM_EVERY_MS) return;
    this.#trimmedAtMs = nowMs;
    try {
      if (await store.trim([...this.#written])) this.#written = new Set();
    } catch (error) {
      logger.warn({ err: error }, 'refusals could not be trimmed');
    }
  }

  #drop(reason: 'rate' | 'full' | 'failed' | 'counts', count = 1): void {
    this.#dropped.inc({ reason }, count);
  }
}

/** What waits to be written of one share. */
class Waiting {
  readonly buffer: FairBuffer<ToldRefusal>;
  readonly #share: Share;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #thisSecond = new Map<string, number>();
  #second = 0;

  constructor(share: Share, clock: Pick<Clock, 'monotonicMs'>) {
    this.buffer = new FairBuffer(share.waitingMax);
    this.#share = share;
    this.#clock = clock;
  }

  isInTurn(gameId: string): boolean {
    const second = Math.floor(this.#clock.monotonicMs() / 1_000);
    if (second !== this.#second) {
      this.#second = second;
      this.#thisSecond.clear();
    }
    const before = this.#thisSecond.get(gameId) ?? 0;
    this.#thisSecond.set(gameId, before + 1);
    return before < this.#share.perGameAndSecondMax;
  }

  take(): ToldRefusal[] {
    return this.buffer.take(this.#share.batchMax);
  }
}
