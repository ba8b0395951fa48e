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

/** Questions to the brokers over one connection, which is made when it is needed and made anew after any failure. */
export class KafkaAdmin {
  private open: { readonly client: KafkaClient; readonly admin: Promise<Admin> } | null = null;

  constructor(private readonly options: KafkaAdminOptions) {}

  /** @throws OutageError when there is no answer in time, or it is an error */
  async ask<T>(question: (admin: Admin) => Promise<T>): Promise<T> {
    const used = (this.open ??= this.connect());
    const answered = new AbortController();
    try {
      return await Promise.race([used.admin.then(question), this.deadline(answered.signal)]);
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

  private async deadline(answered: AbortSignal): Promise<never> {
    await this.options.clock.sleep(this.options.timeoutMs, answered);
    throw new Error('the brokers do not answer in time');
  }
}
