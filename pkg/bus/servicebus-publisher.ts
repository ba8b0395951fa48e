import type {
  ServiceBusClient,
  ServiceBusMessage,
  ServiceBusMessageBatch,
  ServiceBusSender,
} from '@azure/service-bus';
import { FairtallyError, OutageError } from '../kernel/errors.js';
import { checkMessageIds, checkMessages } from './message.js';
import type { BusMessage } from './port.js';
import { asOutage, within, type Held, type SharedClient } from './servicebus-client.js';
import { sessionOf, toBroker } from './servicebus-message.js';

export interface PublisherOptions {
  readonly shared: SharedClient;
  readonly topic: string;
  /** Messages that may wait; beyond it `publish` rejects with OutageError at once. */
  readonly queueMax: number;
  /** A caller waits no longer; whether its messages arrived is then unknown. */
  readonly timeoutMs: number;
}

const QUEUE_BYTES_MAX = 64 * 1024 * 1024;
/** Fits every tier: Standard takes 256 KB, and Premium announces more than it takes as a batch. */
const BATCH_BYTES_MAX = 192 * 1024;
const BATCH_COUNT_MAX = 500;

interface Call {
  left: number;
  isOver: boolean;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

interface Entry {
  readonly message: ServiceBusMessage;
  readonly bytes: number;
  readonly call: Call;
}

/**
 * Every session has one batch in flight, so that its messages are stored in the order of their calls; what comes meanwhile goes
 * with its next batch, whoever published it. A batch has messages of one session alone, as the service demands.
 */
export class ServicebusPublisher {
  private readonly queues = new Map<string, Entry[]>();
  private readonly pumps = new Set<Promise<void>>();
  private readonly senders = new WeakMap<ServiceBusClient, ServiceBusSender>();
  private queued = 0;
  private queuedBytes = 0;
  private isClosed = false;

  constructor(private readonly options: PublisherOptions) {}

  /**
   * Resolves when the service has accepted every message: the topic and each subscription keep it then.
   *
   * @throws OutageError when that is not known, or too much waits already
   * @throws FairtallyError `message_refused`, `bus_closed`
   */
  async publish(messages: readonly BusMessage[]): Promise<void> {
    if (this.isClosed) throw new FairtallyError('bus_closed', 'the bus is closed');
    const bytes = checkMessages(messages);
    checkMessageIds(messages);
    if (messages.length === 0) return;
    const isFull =
      this.queued + messages.length > this.options.queueMax || this.queuedBytes + bytes > QUEUE_BYTES_MAX;
    if (isFull)
      throw new OutageError('Service Bus', new Error('too many messages wait to be published'), 'overloaded');
    const sendable = messages.map((message) => ({
      session: sessionOf(message),
      message: toBroker(message),
      bytes: Buffer.byteLength(message.body),
    }));
    await new Promise<void>((resolve, reject) => {
      const call = this.call(messages.length, resolve, reject);
      for (const { session, message, bytes: size } of sendable)
        this.enqueue(session, { message, bytes: size, call });
    });
  }

  /** Refuses new messages, ends when the accepted ones are answered. */
  async close(): Promise<void> {
    this.isClosed = true;
    await Promise.all(this.pumps);
  }

  private call(left: number, resolve: () => void, reject: (error: unknown) => void): Call {
    const end = (): void => {
      clearTimeout(timer);
      call.isOver = true;
    };
    const call: Call = {
      left,
      isOver: false,
      resolve: () => {
        end();
        resolve();
      },
      reject: (error) => {
        end();
        reject(error);
      },
    };
    const late = (): void =>
      call.reject(new OutageError('Service Bus', new Error('publishing takes too long')));
    const timer = setTimeout(late, this.options.timeoutMs);
    return call;
  }

  private enqueue(session: string, entry: Entry): void {
    this.queued += 1;
    this.queuedBytes += entry.bytes;
    const queue = this.queues.get(session);
    if (queue !== undefined) return void queue.push(entry);
    this.queues.set(session, [entry]);
    const pump = this.pump(session).finally(() => this.pumps.delete(pump));
    this.pumps.add(pump);
  }

  private async pump(session: string): Promise<void> {
    const queue = this.queues.get(session) ?? [];
    await Promise.resolve(); // what this turn publishes goes together
    while (queue.length > 0) await this.flush(queue);
    this.queues.delete(session);
  }

  private async flush(queue: Entry[]): Promise<void> {
    const { shared, timeoutMs } = this.options;
    let entries: readonly Entry[] = [];
    const send = async ({ client, broken }: Held): Promise<void> => {
      const sender = this.senderOf(client);
      const batch = await within(timeoutMs, 'opening a sender', emptyBatch(sender), broken);
      entries = this.fill(batch, queue);
      if (entries.length > 0) await within(timeoutMs, 'sending', sender.sendMessages(batch), broken);
    };
    try {
      await shared.use(send).catch((error: unknown) => {
        // A client that broke unseen is replaced once, while nothing is sent: a send of unknown outcome is not repeated here.
        if (entries.length > 0) throw error;
        return shared.use(send);
      });
      for (const { call } of entries) {
        call.left -= 1;
        if (call.left === 0 && !call.isOver) call.resolve();
      }
    } catch (error) {
      const outage = asOutage(error);
      const failed = entries.length > 0 ? entries : this.take(queue, queue.length);
      for (const { call } of failed) if (!call.isOver) call.reject(outage);
    }
  }

  private senderOf(client: ServiceBusClient): ServiceBusSender {
    let sender = this.senders.get(client);
    if (sender === undefined) {
      sender = client.createSender(this.options.topic);
      this.senders.set(client, sender);
    }
    return sender;
  }

  /** Moves the head of the queue into the batch, but for calls that were answered already. */
  private fill(batch: ServiceBusMessageBatch, queue: Entry[]): Entry[] {
    const filled: Entry[] = [];
    let seen = 0;
    for (const entry of queue) {
      if (filled.length >= BATCH_COUNT_MAX) break;
      if (!entry.call.isOver) {
        if (batch.tryAddMessage(entry.message)) filled.push(entry);
        else if (filled.length > 0) break;
        else entry.call.reject(new FairtallyError('message_refused', 'its headers are too large'));
      }
      seen += 1;
    }
    this.take(queue, seen);
    return filled;
  }

  private take(queue: Entry[], count: number): readonly Entry[] {
    const taken = queue.splice(0, count);
    this.queued -= taken.length;
    for (const { bytes } of taken) this.queuedBytes -= bytes;
    return taken;
  }
}

/** Of the size that the service takes, which it tells when the sender's link opens. */
async function emptyBatch(sender: ServiceBusSender): Promise<ServiceBusMessageBatch> {
  const batch = await sender.createMessageBatch();
  if (batch.maxSizeInBytes <= BATCH_BYTES_MAX) return batch;
  return sender.createMessageBatch({ maxSizeInBytes: BATCH_BYTES_MAX });
}
