import kafkajs from 'kafkajs';
import type { Admin } from 'kafkajs';
import type { Clock } from '../kernel/clock.js';
import { FairtallyError, OutageError } from '../kernel/errors.js';
import type { Logger } from '../runtime/port.js';
import { openKafka, type KafkaClient, type KafkaConnection } from './kafka-client.js';

export interface KafkaAdminOptions {
  readonly kafka: KafkaConnection;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Of one call, connecting included. */
  readonly timeoutMs: number;
}

const RETRY_MS = 100;

/** Leaders and coordinators move, and a new cluster has none for a moment. */
const isForAnother = (error: unknown): boolean =>
  (error instanceof kafkajs.KafkaJSProtocolError && error.retriable) ||
  error instanceof kafkajs.KafkaJSGroupCoordinatorNotFound;

/** Questions to the brokers over one connection, which is made when it is needed and made anew after any failure. */
export class KafkaAdmin {
  private open: { readonly client: KafkaClient; readonly admin: Promise<Admin> } | null = null;

  constructor(private readonly options: KafkaAdminOptions) {}

  /**
   * Asks again while brokers say that another one should be asked.
   *
   * @throws OutageError when there is no answer in time, or it is an error
   * @throws FairtallyError what the question threw
   */
  async ask<T>(question: (admin: Admin) => Promise<T>): Promise<T> {
    const used = (this.open ??= this.connect());
    const answered = new AbortController();
    try {
      return await Promise.race([
        this.untilTold(used.admin, question, answered.signal),
        this.deadline(answered.signal),
      ]);
    } catch (error) {
      used.client.destroy();
      if (this.open === used) this.open = null;
      throw error instanceof FairtallyError ? error : new OutageError('Kafka', error);
    } finally {
      answered.abort();
    }
  }

  close(): void {
    this.open?.client.destroy();
    this.open = null;
  }

  private connect(): { readonly client: KafkaClient; readonly admin: Promise<Admin> } {
    const { kafka, logger, timeoutMs } = this.options;
    const client = openKafka({ kafka, requestTimeoutMs: timeoutMs, logger });
    const admin = client.kafka.admin();
    return { client, admin: admin.connect().then(() => admin) };
  }

  private async untilTold<T>(
    connected: Promise<Admin>,
    question: (admin: Admin) => Promise<T>,
    over: AbortSignal,
  ): Promise<T> {
    const admin = await connected;
    for (;;) {
      try {
        return await question(admin);
      } catch (error) {
        if (over.aborted || !isForAnother(error)) throw error;
      }
      await this.options.clock.sleep(RETRY_MS, over);
    }
  }

  private async deadline(answered: AbortSignal): Promise<never> {
    await this.options.clock.sleep(this.options.timeoutMs, answered);
    throw new Error('the brokers do not answer in time');
  }
}
