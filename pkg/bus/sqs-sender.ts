import type { Clock } from '../kernel/clock.js';
import { FairtallyError, OutageError } from '../kernel/errors.js';
import type { Random } from '../kernel/random.js';
import { backoffMs, type BackoffRule } from './backoff.js';
import { BATCH_BYTES_MAX, type WireMessage } from './sqs-message.js';
import { ENTRIES_MAX, type FailedEntry, type SqsQueue } from './sqs-queue.js';

/** One message on its way to the queues. */
export interface Outgoing {
  readonly wire: WireMessage;
  /** Nobody waits for it any more: it need not be sent. */
  isAbandoned(): boolean;
}

export interface SqsSenderOptions<T extends Outgoing> {
  readonly queue: SqsQueue;
  readonly clock: Clock;
  readonly random: Random;
  readonly onAccepted: (message: T) => void;
  /** @param error OutageError, or `message_refused` */
  readonly onFailed: (message: T, error: FairtallyError) => void;
}

/** Requests in flight. One that is not full goes only where little is under way: so under load, requests fill up. */
const IN_FLIGHT_MAX = 32;
const NOT_FULL_IN_FLIGHT_MAX = 2;
/** Times that a message is sent which SQS did not take out of an accepted request. */
const SEND_TRIES = 3;
const BETWEEN_TRIES: BackoffRule = { baseMs: 50, capMs: 1_000 };

interface Waiting<T> {
  readonly message: T;
  tries: number;
}

/** Sends to one queue: many requests at once, but of one player never a message before an earlier one is answered for. */
export class SqsSender<T extends Outgoing> {
  /** By player: what is not in flight, in order. */
  private readonly waiting = new Map<string, Waiting<T>[]>();
  /** Players with messages waiting and none in flight, the one that waits longest first. */
  private readonly ready = new Set<string>();
  private readyCount = 0;
  private readonly busy = new Set<string>();
  private inFlight = 0;
  private isStarting = false;

  constructor(private readonly options: SqsSenderOptions<T>) {}

  add(message: T): void {
    const { group } = message.wire;
    this.push(group, [{ message, tries: 0 }]);
    // What comes in one turn of the event loop goes together.
    if (this.isStarting) return;
    this.isStarting = true;
    setImmediate(() => {
      this.isStarting = false;
      this.start();
    });
  }

  private push(group: string, more: readonly Waiting<T>[]): void {
    const list = this.waiting.get(group);
    if (list === undefined) this.waiting.set(group, [...more]);
    else list.push(...more);
    if (this.busy.has(group)) return;
    this.ready.add(group);
    this.readyCount += more.length;
  }

  private start(): void {
    while (
      this.readyCount > 0 &&
      this.inFlight < (this.readyCount >= ENTRIES_MAX ? IN_FLIGHT_MAX : NOT_FULL_IN_FLIGHT_MAX)
    ) {
      const batch = this.nextBatch();
      if (batch.length > 0) void this.send(batch);
    }
  }

  /** Fills one request; its players are busy from now on. Empty when all that it looked at was abandoned. */
  private nextBatch(): Waiting<T>[] {
    const batch: Waiting<T>[] = [];
    let bytes = 0;
    for (const group of this.ready) {
      if (batch.length === ENTRIES_MAX) break;
      const list = this.waiting.get(group) ?? [];
      let count = 0;
      const before = batch.length;
      for (const one of list) {
        const size = one.message.wire.bytes;
        const isAbandoned = one.message.isAbandoned();
        if (!isAbandoned && (batch.length === ENTRIES_MAX || bytes + size > BATCH_BYTES_MAX)) break;
        count += 1;
        if (isAbandoned) continue;
        batch.push(one);
        bytes += size;
      }
      if (count === 0) break; // its first does not fit any more: it begins the next request
      this.ready.delete(group);
      this.readyCount -= list.length;
      if (count === list.length) this.waiting.delete(group);
      else list.splice(0, count);
      if (batch.length > before) this.busy.add(group);
      else this.release(group);
    }
    return batch;
  }

  private async send(batch: readonly Waiting<T>[]): Promise<void> {
    this.inFlight += 1;
    const again = await this.attempt(batch);
    this.inFlight -= 1;
    const failing = new Map<string, Waiting<T>[]>();
    for (const one of again) {
      const { group } = one.message.wire;
      failing.set(group, [...(failing.get(group) ?? []), one]);
    }
    for (const group of new Set(batch.map(({ message }) => message.wire.group)))
      if (!failing.has(group)) this.release(group);
    this.start();
    if (failing.size === 0) return;
    const { clock, random } = this.options;
    await clock.sleep(backoffMs(BETWEEN_TRIES, Math.max(...again.map(({ tries }) => tries)), random));
    for (const [group, list] of failing) {
      this.waiting.set(group, [...list, ...(this.waiting.get(group) ?? [])]);
      this.release(group);
    }
    this.start();
  }

  private release(group: string): void {
    this.busy.delete(group);
    const list = this.waiting.get(group);
    if (list === undefined) return;
    this.ready.add(group);
    this.readyCount += list.length;
  }

  /** Tells of each message what became of it. @returns those to send again */
  private async attempt(batch: readonly Waiting<T>[]): Promise<Waiting<T>[]> {
    const { queue, onAccepted, onFailed } = this.options;
    let failed: readonly FailedEntry[];
    try {
      failed = await queue.send(batch.map(({ message }) => message.wire));
    } catch (error) {
      // The SDK had its tries. Whether SQS took the messages is unknown.
      for (const { message } of batch) onFailed(message, asOutage(error));
      return [];
    }
    const byIndex = new Map(failed.map((entry) => [entry.index, entry]));
    return batch.filter((one, index) => {
      const failure = byIndex.get(index);
      if (failure === undefined) onAccepted(one.message);
      else {
        one.tries += 1;
        if (!failure.isRefused && one.tries < SEND_TRIES) return true;
        onFailed(one.message, failure.isRefused ? refused(failure.cause) : asOutage(failure.cause));
      }
      return false;
    });
  }
}

const asOutage = (error: unknown): OutageError =>
  error instanceof OutageError ? error : new OutageError('SQS', error);

const refused = (cause: Error): FairtallyError =>
  new FairtallyError('message_refused', 'a message cannot be published: SQS refuses it', false, { cause });
