import type { EachBatchPayload, KafkaMessage } from 'kafkajs';
import type { RoleName } from '../kernel/roles.js';
import { deliver, type DeliveryPolicy } from './deliver.js';
import { toDelivery } from './kafka-record.js';
import type { BatchHandler, Delivery } from './port.js';
import { Wakeup } from './wakeup.js';

export interface DeskOptions extends DeliveryPolicy {
  readonly topic: string;
  readonly role: RoleName;
  readonly handler: BatchHandler;
  readonly batchMax: number;
  readonly heartbeatMs: number;
}

/** What came of one partition in one fetch. The client holds it as long as `take` does not end. */
interface Offer {
  readonly payload: EachBatchPayload;
  readonly messages: readonly KafkaMessage[];
  /** How many of them are settled. */
  done: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** A part of an offer that is in the handler's hands. */
interface Taken {
  readonly offer: Offer;
  readonly messages: readonly KafkaMessage[];
}

/** The time from one assignment of partitions to the loss of it. */
class Assignment {
  private readonly end = new AbortController();
  readonly lost = this.end.signal;
  /** Whether another one has begun: then an offset committed now would be that one's. */
  isReplaced = false;
  /** What the client is told of it; null: nothing, it knows. */
  error: unknown = null;

  lose(error: unknown): void {
    if (this.lost.aborted) return;
    this.error = error;
    this.end.abort();
  }
}

/**
 * Where the partitions of one member are worked off: one batch at a time, gathered from all partitions that offer some.
 * While the handler works or a dependency is away it keeps the member in its group; when the group is shared out anew it
 * ends the batch in hand, commits what is settled, and only then lets the client go on to its next assignment.
 */
export class Desk {
  private readonly offers = new Set<Offer>();
  private readonly wakeup = new Wakeup();
  private readonly closing = new AbortController();
  private readonly ended = new AbortController();
  private readonly working: Promise<void>;
  private assignment = new Assignment();

  constructor(private readonly options: DeskOptions) {
    this.working = this.work();
    void this.beat();
  }

  /** Ends when all of the offer is settled or the desk is closed; rejects when the assignment was lost over it. */
  take(payload: EachBatchPayload): Promise<void> {
    if (this.closing.signal.aborted) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.offers.add({ payload, messages: payload.batch.messages, done: 0, resolve, reject });
      this.wakeup.wake();
    });
  }

  /** The member has joined: what it still holds belongs to an assignment that is over. */
  joined(): void {
    this.assignment.isReplaced = true;
    this.assignment.lose(null);
    if (this.offers.size === 0) this.assignment = new Assignment();
    this.wakeup.wake();
  }

  /** Finishes the batch in hand, commits, and gives the rest back unread. */
  async close(): Promise<void> {
    this.closing.abort();
    this.wakeup.wake();
    await this.working;
    this.ended.abort();
  }

  private async work(): Promise<void> {
    while (!this.closing.signal.aborted) {
      const seen = this.wakeup.count;
      if (this.assignment.lost.aborted) this.giveBack();
      else if (this.offers.size > 0) await this.workOnce(this.assignment);
      else {
        await this.wakeup.later(seen);
        await endOfTurn(); // the partitions of one fetch are offered one after another
      }
    }
    this.giveBack();
  }

  private async workOnce(assignment: Assignment): Promise<void> {
    const { handler, batchMax } = this.options;
    const signal = AbortSignal.any([this.closing.signal, assignment.lost]);
    try {
      const taken = share([...this.offers], batchMax);
      const batch = taken.flatMap(({ offer, messages }) =>
        messages.map((message) => toDelivery(offer.payload.batch.partition, message)),
      );
      const settled = await deliver(batch, handler, { ...this.options, signal });
      await this.settle(assignment, taken, batch, settled);
    } catch (error) {
      assignment.lose(error);
    }
  }

  /** Commits the settled beginning of each partition. */
  private async settle(
    assignment: Assignment,
    taken: readonly Taken[],
    batch: readonly Delivery[],
    settled: readonly boolean[],
  ): Promise<void> {
    const moved: { offer: Offer; count: number; last: KafkaMessage }[] = [];
    let from = 0;
    for (const { offer, messages } of taken) {
      const unsettled = settled.indexOf(false, from);
      const until = unsettled === -1 ? batch.length : unsettled;
      const count = Math.min(messages.length, until - from);
      from += messages.length;
      const last = messages[count - 1];
      if (last !== undefined) moved.push({ offer, count, last });
    }
    if (assignment.isReplaced || moved.length === 0) return;
    await moved[0]?.offer.payload.commitOffsetsIfNecessary({
      topics: [
        { topic: this.options.topic, partitions: moved.map(({ offer, last }) => commitOf(offer, last)) },
      ],
    });
    for (const { offer, count, last } of moved) {
      offer.done += count;
      offer.payload.resolveOffset(last.offset);
      if (offer.done < offer.messages.length) continue;
      this.offers.delete(offer);
      offer.resolve();
    }
  }

  private giveBack(): void {
    const { error } = this.assignment;
    for (const offer of this.offers) {
      if (error === null) offer.resolve();
      else offer.reject(error);
    }
    this.offers.clear();
    this.assignment = new Assignment();
  }

  /** The client asks its group for news only while it fetches, and it fetches no more while this holds what it fetched. */
  private async beat(): Promise<void> {
    const { clock, heartbeatMs } = this.options;
    while (!this.ended.signal.aborted) {
      await clock.sleep(heartbeatMs, this.ended.signal);
      await this.beatOnce(this.assignment);
    }
  }

  private async beatOnce(assignment: Assignment): Promise<void> {
    const [offer] = this.offers;
    if (offer === undefined || assignment.lost.aborted) return;
    try {
      await offer.payload.heartbeat();
    } catch (error) {
      assignment.lose(error);
      this.wakeup.wake();
    }
  }
}

const endOfTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Equally many of each offer, as many as make a batch; what the shorter ones leave goes to the longer. */
function share(offers: readonly Offer[], batchMax: number): Taken[] {
  const left = (offer: Offer): number => offer.messages.length - offer.done;
  const taken: Taken[] = [];
  let room = batchMax;
  for (const [n, offer] of [...offers].sort((a, b) => left(a) - left(b)).entries()) {
    if (room === 0) break;
    const fair = Math.max(1, Math.floor(room / (offers.length - n)));
    const messages = offer.messages.slice(offer.done, offer.done + fair);
    taken.push({ offer, messages });
    room -= messages.length;
  }
  return taken;
}

/** The metadata tells `lag` since when the next one can be waiting at most. */
const commitOf = (
  offer: Offer,
  last: KafkaMessage,
): { partition: number; offset: string; metadata: string } => ({
  partition: offer.payload.batch.partition,
  offset: String(BigInt(last.offset) + 1n),
  metadata: last.timestamp,
});
