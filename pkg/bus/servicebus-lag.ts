import type { ServiceBusClient, ServiceBusReceivedMessage, ServiceBusReceiver } from '@azure/service-bus';
import type { RoleName } from '../kernel/roles.js';
import type { Lag } from './port.js';

type Long = NonNullable<ServiceBusReceivedMessage['sequenceNumber']>;

const PAGE_MAX = 250;
const PAGES_MAX = 8;

/** What waits in a subscription, and what the service moved to its dead letter queue. */
export class SubscriptionLag {
  private readonly live: PeekedQueue;
  private readonly dead: PeekedQueue;

  constructor(client: ServiceBusClient, topic: string, role: RoleName) {
    this.live = new PeekedQueue(client.createReceiver(topic, role));
    this.dead = new PeekedQueue(client.createReceiver(topic, role, { subQueueType: 'deadLetter' }));
  }

  async read(): Promise<Lag> {
    const [lag, dead] = await Promise.all([this.live.read(), this.dead.read()]);
    return { ...lag, brokerDead: dead.waiting };
  }
}

/**
 * What waits in one queue, counted by peeking: the counts of the management API need the right to manage, which a worker
 * has no other use for. Locked messages are peeked like others, so what a member has in hand counts until it is completed.
 * Exact up to 2,000; beyond that `waiting` means "at least".
 */
class PeekedQueue {
  /** The SDK takes sequence numbers of a type that only it can make: zero is made of the first one met. */
  private zero: Long | null = null;

  constructor(private readonly receiver: ServiceBusReceiver) {}

  async read(): Promise<Lag> {
    let waiting = 0;
    let oldestPublishedAtMs: number | null = null;
    let from = this.zero;
    for (let page = 0; page < PAGES_MAX; page += 1) {
      const peeked = await this.receiver.peekMessages(
        PAGE_MAX,
        from === null ? {} : { fromSequenceNumber: from },
      );
      const last = peeked.at(-1)?.sequenceNumber;
      if (last === undefined) break;
      this.zero ??= last.sub(last);
      from = last.add(1);
      waiting += peeked.length;
      // In a partitioned entity numbers of different partitions are not in the order of time.
      for (const { enqueuedTimeUtc } of peeked)
        oldestPublishedAtMs = Math.min(oldestPublishedAtMs ?? Infinity, enqueuedTimeUtc?.getTime() ?? 0);
    }
    return { waiting, oldestPublishedAtMs };
  }
}
