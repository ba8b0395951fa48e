import { setMaxListeners } from 'node:events';
import type { RoleName } from '../kernel/roles.js';
import { backoffMs, type BackoffRule } from './backoff.js';
import { deliver, type DeliveryPolicy } from './deliver.js';
import type { BatchHandler, Subscription } from './port.js';
import type { HeldMessage } from './sqs-message.js';
import { ENTRIES_MAX, type SqsQueue } from './sqs-queue.js';
import { keepHidden } from './sqs-visibility.js';

export interface SqsSubscriptionOptions extends DeliveryPolicy {
  readonly queue: SqsQueue;
  readonly role: RoleName;
  readonly handler: BatchHandler;
  /** Deliveries handed to the handler at once. As many again may be received meanwhile. */
  readonly batchMax: number;
  /** How long SQS gives a message to nobody else; after a crash it stays unread for as long. */
  readonly visibilitySeconds: number;
  /** How long an empty queue keeps a receive waiting, and so a closing member. */
  readonly waitSeconds: number;
}

export interface SqsSubscription extends Subscription {
  /** When SQS accepted the oldest message in hand, UTC ms; null when none is. */
  oldestInHandAtMs(): number | null;
}

/** What a queue is made with and what a member asks for. */
export const VISIBILITY_SECONDS = 30;
const RECEIVES_MAX = 32;
/** Messages that a receive should bring to be worth its price. */
const RECEIVE_WORTH = ENTRIES_MAX / 2;
/** While one batch is worked on, the next is fetched. */
const CYCLES = 2;
const REMOVE_TRIES = 3;
const RETRY: BackoffRule = { baseMs: 100, capMs: 5_000 };
const CLOSE_GRACE_MS = 2_000;

export function startSqsSubscription(options: SqsSubscriptionOptions): SqsSubscription {
  return new Member(options);
}

/**
 * One member of a role. Order per player needs nothing here: while SQS has given out messages of a group, it gives nobody
 * another one of it.
 */
class Member implements SqsSubscription {
  private readonly closing = new AbortController();
  private readonly receiving = new AbortController();
  /** Batches received and not yet settled, each with what ends the work on it. */
  private readonly inHand = new Map<readonly HeldMessage[], AbortController>();
  /** Receives at once. Grows while they come back well filled; one alone waits for what is published next. */
  private width = 1;
  /** Resolves when the handler is free. */
  private turn: Promise<void> = Promise.resolve();
  private readonly ended: Promise<unknown>;

  constructor(private readonly options: SqsSubscriptionOptions) {
    setMaxListeners(2 * CYCLES * RECEIVES_MAX, this.receiving.signal);
    this.ended = Promise.all(Array.from({ length: CYCLES }, () => this.cycle()));
  }

  /** A receive that waits at SQS is not cut off: what it brought would stay hidden from all until its time is over. */
  async close(): Promise<void> {
    const { clock, waitSeconds } = this.options;
    this.closing.abort();
    for (const ending of this.inHand.values()) ending.abort();
    const ended = new AbortController();
    const limit = clock.sleep(waitSeconds * 1_000 + CLOSE_GRACE_MS, ended.signal).then(() => {
      this.receiving.abort();
    });
    await this.ended;
    ended.abort();
    await limit;
  }

  oldestInHandAtMs(): number | null {
    let oldestMs = Infinity;
    for (const batch of this.inHand.keys())
      for (const { sentAtMs } of batch) if (sentAtMs < oldestMs) oldestMs = sentAtMs;
    return oldestMs === Infinity ? null : oldestMs;
  }

  private async cycle(): Promise<void> {
    const { clock, random, logger, role } = this.options;
    for (let failures = 0; !this.closing.signal.aborted;) {
      const held: HeldMessage[] = [];
      try {
        await this.gather(held);
        failures = 0;
      } catch (error) {
        failures += 1;
        logger.warn({ role, failures, err: error }, 'the queue cannot be read: the role tries again');
      }
      // What came before a receive failed is in hand all the same.
      if (held.length > 0) await this.work(held);
      if (failures > 0) await clock.sleep(backoffMs(RETRY, failures, random), this.closing.signal);
    }
  }

  /** Receives until a batch is full or the queue gives little. */
  private async gather(held: HeldMessage[]): Promise<void> {
    const { queue, batchMax, waitSeconds, visibilitySeconds } = this.options;
    for (let isMore = true; isMore && held.length < batchMax && !this.closing.signal.aborted;) {
      const asked = asks(batchMax - held.length, this.width);
      const wait = asked.length === 1 && held.length === 0 ? waitSeconds : 0;
      const answers = await Promise.allSettled(
        asked.map((max) => queue.receive(max, wait, visibilitySeconds, this.receiving.signal)),
      );
      const received = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
      held.push(...received);
      const failed = answers.find((answer) => answer.status === 'rejected');
      if (failed !== undefined) throw failed.reason;
      this.width = Math.min(RECEIVES_MAX, Math.max(1, Math.ceil(received.length / RECEIVE_WORTH)));
      isMore = received.length >= asked.length * RECEIVE_WORTH;
    }
  }

  private async work(held: readonly HeldMessage[]): Promise<void> {
    const { handler, logger, role } = this.options;
    const ending = new AbortController();
    if (this.closing.signal.aborted) ending.abort();
    this.inHand.set(held, ending);
    const keeper = keepHidden(held, { ...this.options, onTooLong: () => ending.abort() });
    let settled: readonly boolean[] = [];
    try {
      const deliveries = held.map(({ delivery }) => delivery);
      settled = await this.inTurn(() =>
        deliver(deliveries, handler, { ...this.options, signal: ending.signal }),
      );
    } catch (error) {
      logger.error({ role, err: error }, 'a batch could not be delivered: it is given back');
    }
    await keeper.stop();
    await this.settle(
      held.filter((_, index) => settled[index] === true),
      held.filter((_, index) => settled[index] !== true),
    );
    this.inHand.delete(held);
  }

  /** One batch at a time is with the handler. */
  private async inTurn<T>(work: () => Promise<T>): Promise<T> {
    const before = this.turn;
    let end = (): void => undefined;
    this.turn = new Promise<void>((resolve) => (end = resolve));
    await before;
    try {
      return await work();
    } finally {
      end();
    }
  }

  /** What cannot be settled comes again when its time is over, and the role's inbox knows what was applied. */
  private async settle(done: readonly HeldMessage[], open: readonly HeldMessage[]): Promise<void> {
    const { queue, role, logger, clock, random } = this.options;
    try {
      let left = done;
      for (let tries = 1; left.length > 0; tries += 1) {
        left = await queue.remove(left);
        if (left.length === 0) break;
        logger.warn({ role, tries, left: left.length }, 'SQS did not delete all that was asked');
        if (tries === REMOVE_TRIES) break;
        await clock.sleep(backoffMs(RETRY, tries, random));
      }
      await queue.giveBack(open);
    } catch (error) {
      logger.warn({ role, err: error }, 'a batch could not be settled: its messages will come again');
    }
  }
}

/** How many messages each of the receives asks for. */
function asks(room: number, width: number): number[] {
  const asked: number[] = [];
  for (let left = room; left > 0 && asked.length < width; left -= ENTRIES_MAX)
    asked.push(Math.min(ENTRIES_MAX, left));
  return asked;
}
