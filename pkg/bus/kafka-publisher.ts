import kafkajs from 'kafkajs';
import type { ICustomPartitioner, Message } from 'kafkajs';
import type { Clock } from '../kernel/clock.js';
import { FairtallyError, OutageError } from '../kernel/errors.js';
import type { Logger } from '../runtime/port.js';
import { openKafka, type KafkaClient, type KafkaConnection } from './kafka-client.js';
import { toRecord, type SizedRecord } from './kafka-record.js';
import { checkMessageIds, checkMessages } from './message.js';
import type { BusMessage } from './port.js';

export interface KafkaPublisherOptions {
  readonly kafka: KafkaConnection;
  readonly topic: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Messages that may wait for the flush in flight; beyond it `publish` rejects with OutageError. */
  readonly queueMax: number;
  /** A caller waits no longer; whether its messages arrived is then unknown. */
  readonly timeoutMs: number;
}

const QUEUE_BYTES_MAX = 64 * 1024 * 1024;
const FLUSH_MAX = 1_000;
const RETRY_MS = 100;
/** All of a flush may go to one partition, as one record batch, and brokers take batches of 1 MiB unless told otherwise. */
const FLUSH_BYTES_MAX = 900 * 1024;

/** A part of a call that goes out in one flush. */
interface Piece {
  readonly records: readonly Message[];
  readonly bytes: number;
  /** Monotonic. */
  readonly deadlineMs: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

interface Producer {
  readonly client: KafkaClient;
  send(records: readonly Message[]): Promise<void>;
}

/** Group commit: one flush in flight, everything that arrives meanwhile goes with the next. */
export class KafkaPublisher {
  private readonly queue: Piece[] = [];
  private queued = 0;
  private queuedBytes = 0;
  private flushing: Promise<void> | null = null;
  private producer: Producer | null = null;
  private isClosed = false;

  constructor(private readonly options: KafkaPublisherOptions) {}

  /**
   * Resolves when all in-sync replicas have the messages.
   *
   * @throws OutageError when that is not known, or the queue is full
   * @throws FairtallyError `message_refused`, `bus_closed`
   */
  async publish(messages: readonly BusMessage[]): Promise<void> {
    if (this.isClosed) throw new FairtallyError('bus_closed', 'the bus is closed');
    checkMessages(messages);
    checkMessageIds(messages);
    const nowMs = this.options.clock.now();
    const chunks = inFlushes(messages.map((message) => toRecord(message, nowMs)));
    const bytes = chunks.reduce((sum, chunk) => sum + bytesOf(chunk), 0);
    const isFull =
      this.queued + messages.length > this.options.queueMax || this.queuedBytes + bytes > QUEUE_BYTES_MAX;
    if (isFull)
      throw new OutageError('Kafka', new Error('too many messages wait to be published'), 'overloaded');
    await Promise.all(chunks.map((chunk) => this.enqueue(chunk)));
  }

  /** Refuses new messages, ends when the accepted ones are answered. */
  async close(): Promise<void> {
    this.isClosed = true;
    while (this.flushing !== null) await this.flushing;
    this.abandonProducer();
  }

  private enqueue(chunk: readonly SizedRecord[]): Promise<void> {
    return new Promise((resolve, reject) => {
      const records = chunk.map(({ record }) => record);
      const bytes = bytesOf(chunk);
      const deadlineMs = this.options.clock.monotonicMs() + this.options.timeoutMs;
      this.queue.push({ records, bytes, deadlineMs, resolve, reject });
      this.queued += records.length;
      this.queuedBytes += bytes;
      this.flushing ??= this.flushAll();
    });
  }

  private async flushAll(): Promise<void> {
    while (this.queue.length > 0) await this.flush(this.nextPieces());
    // In the same turn as the last look at the queue: a call that comes later begins the next round.
    this.flushing = null;
  }

  /** The head of the queue, as much as one flush carries; who has waited too long in it is answered at once. */
  private nextPieces(): Piece[] {
    let records = 0;
    let bytes = 0;
    let count = 0;
    for (const piece of this.queue) {
      records += piece.records.length;
      bytes += piece.bytes;
      if (count > 0 && (records > FLUSH_MAX || bytes > FLUSH_BYTES_MAX)) break;
      count += 1;
    }
    const pieces = this.queue.splice(0, count);
    for (const piece of pieces) {
      this.queued -= piece.records.length;
      this.queuedBytes -= piece.bytes;
    }
    const nowMs = this.options.clock.monotonicMs();
    return pieces.filter(({ deadlineMs, reject }) => {
      const isLate = deadlineMs <= nowMs;
      if (isLate) reject(new OutageError('Kafka', tooLong()));
      return !isLate;
    });
  }

  private async flush(pieces: readonly Piece[]): Promise<void> {
    if (pieces.length === 0) return;
    const over = new AbortController();
    try {
      const sent = this.send(
        pieces.flatMap(({ records }) => records),
        over.signal,
      );
      await Promise.race([sent, this.deadline(pieces, over.signal)]);
      for (const { resolve } of pieces) resolve();
    } catch (error) {
      this.abandonProducer();
      for (const { reject } of pieces) reject(new OutageError('Kafka', error));
    } finally {
      over.abort();
    }
  }

  /** Rejects when the first of the pieces may wait no longer. */
  private async deadline(pieces: readonly Piece[], answered: AbortSignal): Promise<never> {
    const { clock } = this.options;
    const deadlineMs = Math.min(...pieces.map((piece) => piece.deadlineMs));
    await clock.sleep(Math.max(0, deadlineMs - clock.monotonicMs()), answered);
    throw tooLong();
  }

  /** Sends again only what brokers have answered and refused (another one leads by now): without an answer nothing is known. */
  private async send(records: readonly Message[], over: AbortSignal): Promise<void> {
    while (!over.aborted) {
      const producer = (this.producer ??= openProducer(this.options));
      const lost = producer.client.lostConnections();
      try {
        return await producer.send(records);
      } catch (error) {
        if (over.aborted || producer.client.lostConnections() > lost) throw error;
        this.options.logger.warn({ err: error }, 'Kafka refused messages: they are sent again');
      }
      this.abandonProducer();
      await this.options.clock.sleep(RETRY_MS, over);
    }
    throw tooLong();
  }

  /**
   * What arrived of a failed flush is unknown, and so are the brokers' next sequence numbers: a producer that went on with
   * its own could have its next batch dropped as a repeat. A fresh one has fresh numbers.
   */
  private abandonProducer(): void {
    this.producer?.client.destroy();
    this.producer = null;
  }
}

const tooLong = (): Error => new Error('publishing takes too long');

const bytesOf = (chunk: readonly SizedRecord[]): number => chunk.reduce((sum, { bytes }) => sum + bytes, 0);

/** In order, each as much as one flush carries. */
function inFlushes(records: readonly SizedRecord[]): SizedRecord[][] {
  const chunks: SizedRecord[][] = [];
  let open: SizedRecord[] = [];
  let openBytes = 0;
  for (const record of records) {
    if (open.length === 0 || open.length === FLUSH_MAX || openBytes + record.bytes > FLUSH_BYTES_MAX) {
      chunks.push((open = []));
      openBytes = 0;
    }
    open.push(record);
    openBytes += record.bytes;
  }
  return chunks;
}

function openProducer(options: KafkaPublisherOptions): Producer {
  const { kafka, topic, timeoutMs, logger } = options;
  const client = openKafka({ kafka, requestTimeoutMs: timeoutMs, logger });
  const producer = client.kafka.producer({
    idempotent: true,
    maxInFlightRequests: 1,
    allowAutoTopicCreation: false,
    createPartitioner: eachRecordOnce(() => client.complaint()),
  });
  const connected = producer.connect();
  return {
    client,
    send: async (records) => {
      await connected;
      await producer.send({ topic, acks: -1, timeout: timeoutMs, messages: [...records] });
    },
  };
}

/**
 * The client sends again by itself after a failure; it asks for the partition of each record anew when it does, and is
 * refused here. Of a flush to several brokers it would leave out what a broker refused if another one, which answered
 * already, has become its leader since, and call that success.
 */
const eachRecordOnce =
  (reason: () => string): ICustomPartitioner =>
  () => {
    const partitionOf = kafkajs.Partitioners.DefaultPartitioner();
    const sent = new WeakSet<Message>();
    return (record) => {
      if (sent.has(record.message)) throw new FairtallyError('not_sent', reason());
      sent.add(record.message);
      return partitionOf(record);
    };
  };
