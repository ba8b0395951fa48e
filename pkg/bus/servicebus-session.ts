import type {
  ServiceBusClient,
  ServiceBusReceivedMessage,
  ServiceBusSessionReceiver,
} from '@azure/service-bus';
import type { Clock } from '../kernel/clock.js';
import { OutageError } from '../kernel/errors.js';
import type { Logger } from '../runtime/port.js';
import { closeClient, hasCode, within } from './servicebus-client.js';
import { Wakeup } from './wakeup.js';

export interface SessionOptions {
  readonly client: ServiceBusClient;
  readonly topic: string;
  readonly subscription: string;
  /** The service answers a wish for a session within that time in any case. */
  readonly answerMs: number;
  /** Messages that the service may have sent and that are not settled. */
  readonly credit: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Ends the wish; a session that comes after all is given back. */
  readonly signal: AbortSignal;
}

interface Arrived {
  readonly message: ServiceBusReceivedMessage;
  /** Lets the service send one more. */
  readonly returnCredit: () => void;
}

/** What comes together is worked together: a little patience saves transactions. */
const GATHER_MS = 5;
const ANSWER_TIMEOUT_MS = 10_000;
/** The end of a lock is told in the service's time; whatever our clock says, this is often enough for a lock of a minute. */
const RENEW_EVERY_MAX_MS = 25_000;
const RENEW_EVERY_MIN_MS = 500;

/**
 * One session while this member holds it: messages stream in up to the credit, and its lock is renewed at half time until it is
 * closed, whatever takes how long. (The SDK's `receiveMessages` is not used: it ends each call with a drain, and closes the link
 * when that takes 200 ms, with the lock and all that is in hand.)
 */
export class HeldSession {
  private readonly ending = new AbortController();
  private readonly arrived: Arrived[] = [];
  private readonly inHand = new Map<ServiceBusReceivedMessage, () => void>();
  private readonly wakeup = new Wakeup();
  private failure: Error | null = null;
  private readonly lost = new AbortController();

  private constructor(
    private readonly receiver: ServiceBusSessionReceiver,
    private readonly options: SessionOptions,
  ) {
    receiver.subscribe(
      {
        processMessage: (message) =>
          new Promise((returnCredit) => {
            this.arrived.push({ message, returnCredit });
            this.wakeup.wake();
          }),
        processError: async ({ error }) => this.fail(error),
      },
      { autoCompleteMessages: false, maxConcurrentCalls: options.credit },
    );
    void this.keepLock();
  }

  /**
   * Waits until the service has a session with messages that nobody holds.
   *
   * @returns null when there was none
   * @throws OutageError when nothing was answered at all
   */
  static async accept(options: SessionOptions): Promise<HeldSession | null> {
    const accepting = options.client.acceptNextSession(options.topic, options.subscription, {
      maxAutoLockRenewalDurationInMs: 0, // ours does not end after some minutes
      skipParsingBodyAsJson: true,
    });
    try {
      const receiver = await within(options.answerMs, 'accepting a session', accepting, options.signal);
      return new HeldSession(receiver, options);
    } catch (error) {
      if (error instanceof OutageError) void accepting.then(closeClient, () => undefined);
      if (options.signal.aborted || hasCode(error, 'ServiceTimeout', 'SessionCannotBeLocked')) return null;
      throw error;
    }
  }

  /**
   * What has arrived, in order, at most the credit; waits for the first of it, `waitMs` at most.
   *
   * @throws when the session was lost
   */
  async take(waitMs: number, signal: AbortSignal): Promise<readonly ServiceBusReceivedMessage[]> {
    const { clock, credit } = this.options;
    const seen = this.wakeup.count;
    if (this.arrived.length === 0 && this.failure === null)
      await this.wakeup.wait(seen, waitMs, clock, signal);
    if (this.arrived.length > 0 && this.arrived.length < credit) await clock.sleep(GATHER_MS, signal);
    if (this.failure !== null) throw this.failure;
    if (signal.aborted) return [];
    const taken = this.arrived.splice(0);
    for (const { message, returnCredit } of taken) this.inHand.set(message, returnCredit);
    return taken.map(({ message }) => message);
  }

  /**
   * Completes in the order given, without waiting for each answer: one link keeps the order.
   *
   * @throws when one of them is not known to be completed; with a lost lock nothing is tried, for the messages come again
   */
  async complete(messages: readonly ServiceBusReceivedMessage[]): Promise<void> {
    if (this.failure !== null) throw this.failure;
    const completing = Promise.all(messages.map((message) => this.receiver.completeMessage(message)));
    // The SDK goes on waiting for answers when the link has gone.
    await within(ANSWER_TIMEOUT_MS, 'completing', completing, this.lost.signal);
    for (const message of messages) {
      this.inHand.get(message)?.();
      this.inHand.delete(message);
    }
  }

  /** Gives the session back, with all that arrived and was not completed. */
  async close(): Promise<void> {
    this.ending.abort();
    await closeClient(this.receiver);
    for (const returnCredit of this.inHand.values()) returnCredit();
    for (const { returnCredit } of this.arrived) returnCredit();
  }

  private fail(error: Error): void {
    if (this.ending.signal.aborted) return;
    this.failure ??= error;
    this.lost.abort(error);
    this.wakeup.wake();
  }

  private async keepLock(): Promise<void> {
    const { clock, logger } = this.options;
    const { signal } = this.ending;
    while (!signal.aborted && this.failure === null) {
      await clock.sleep(this.renewAfterMs(), signal);
      if (signal.aborted || this.failure !== null) return;
      try {
        await within(ANSWER_TIMEOUT_MS, 'renewing', this.receiver.renewSessionLock());
      } catch (error) {
        logger.warn({ session: this.receiver.sessionId, err: error }, 'a session lock was not renewed');
        const isLost = hasCode(error, 'SessionLockLost') || this.receiver.isClosed;
        if (isLost) this.fail(error instanceof Error ? error : new Error('the lock was lost'));
      }
    }
  }

  private renewAfterMs(): number {
    const halfMs = (this.receiver.sessionLockedUntilUtc.getTime() - this.options.clock.now()) / 2;
    return Math.min(RENEW_EVERY_MAX_MS, Math.max(RENEW_EVERY_MIN_MS, halfMs));
  }
}
