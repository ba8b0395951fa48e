import type { Clock } from '../kernel/clock.js';
import { FairtallyError, OutageError } from '../kernel/errors.js';
import type { Random } from '../kernel/random.js';
import { checkMessageIds, checkMessages } from './message.js';
import type { BusMessage } from './port.js';
import { toWire, type WireMessage } from './sqs-message.js';
import type { SqsQueue } from './sqs-queue.js';
import { SqsSender, type Outgoing } from './sqs-sender.js';

export interface SqsPublisherOptions {
  /** What every message reaches before it is sent to any other: all can be made up for from there. */
  readonly first: SqsQueue;
  readonly others: readonly SqsQueue[];
  readonly clock: Clock;
  readonly random: Random;
  /** Messages that may be on their way; beyond it `publish` rejects with OutageError. */
  readonly queueMax: number;
  /** A caller waits no longer; whether its messages arrived is then unknown. */
  readonly timeoutMs: number;
}

const QUEUE_BYTES_MAX = 64 * 1024 * 1024;
/** How late a caller may be answered, as a part of its timeout: one sleeper watches over all. */
const LATE_PART = 20;

/** The messages of one `publish`, answered for together. */
class Call {
  /** Messages that have not reached every queue. */
  left: number;
  isOver = false;

  constructor(
    readonly bytes: number,
    readonly count: number,
    readonly dueMs: number,
    private readonly answer: (error?: FairtallyError) => void,
  ) {
    this.left = count;
  }

  end(error?: FairtallyError): void {
    if (this.isOver) return;
    this.isOver = true;
    this.answer(error);
  }
}

class CallMessage implements Outgoing {
  constructor(
    readonly wire: WireMessage,
    readonly call: Call,
    public copiesLeft: number,
  ) {}

  isAbandoned(): boolean {
    return this.call.isOver;
  }
}

/** Calls that come together share requests. A call that failed or took too long stops sending what it has not sent yet. */
export class SqsPublisher {
  private readonly first: SqsSender<CallMessage>;
  private readonly others: readonly SqsSender<CallMessage>[];
  /** In the order of being due: all wait equally long. */
  private readonly calls = new Set<Call>();
  private count = 0;
  private bytes = 0;
  private readonly closed = new AbortController();
  private isClosed = false;
  private watching: Promise<void> | null = null;
  private emptied = (): void => undefined;

  constructor(private readonly options: SqsPublisherOptions) {
    const sender = (queue: SqsQueue, onAccepted: (message: CallMessage) => void): SqsSender<CallMessage> =>
      new SqsSender({
        queue,
        clock: options.clock,
        random: options.random,
        onAccepted,
        onFailed: ({ call }, error) => call.end(error),
      });
    this.first = sender(options.first, (message) => {
      for (const other of this.others) other.add(message);
      if (this.others.length === 0) arrived(message);
    });
    this.others = options.others.map((queue) => sender(queue, arrived));
  }

  /**
   * Resolves when every queue has accepted every message.
   *
   * @throws OutageError when that is not known in time, or too much is on its way
   * @throws FairtallyError `message_refused`, `bus_closed`
   */
  async publish(messages: readonly BusMessage[]): Promise<void> {
    if (this.isClosed) throw new FairtallyError('bus_closed', 'the bus is closed');
    checkMessages(messages);
    checkMessageIds(messages);
    if (messages.length === 0) return;
    if (this.count + messages.length > this.options.queueMax) throw full();
    const wires = messages.map(toWire);
    const bytes = wires.reduce((sum, wire) => sum + wire.bytes, 0);
    if (this.bytes + bytes > QUEUE_BYTES_MAX) throw full();
    await new Promise<void>((resolve, reject) => {
      const dueMs = this.options.clock.monotonicMs() + this.options.timeoutMs;
      const call = new Call(bytes, wires.length, dueMs, (error) => {
        this.remove(call);
        if (error === undefined) resolve();
        else reject(error);
      });
      this.calls.add(call);
      this.count += call.count;
      this.bytes += call.bytes;
      for (const wire of wires) this.first.add(new CallMessage(wire, call, this.others.length));
      this.watching ??= this.watch();
    });
  }

  /** Refuses new messages, ends when the accepted ones are answered. */
  async close(): Promise<void> {
    this.isClosed = true;
    if (this.calls.size > 0) await new Promise<void>((resolve) => (this.emptied = resolve));
    this.closed.abort();
    await this.watching;
  }

  private remove(call: Call): void {
    this.calls.delete(call);
    this.count -= call.count;
    this.bytes -= call.bytes;
    if (this.calls.size === 0) this.emptied();
  }

  private async watch(): Promise<void> {
    const { clock, timeoutMs } = this.options;
    while (this.calls.size > 0) {
      await clock.sleep(timeoutMs / LATE_PART, this.closed.signal);
      const nowMs = clock.monotonicMs();
      for (const call of this.calls) {
        if (call.dueMs > nowMs) break;
        call.end(new OutageError('SQS', new Error('publishing takes too long')));
      }
    }
    this.watching = null;
  }
}

function arrived(message: CallMessage): void {
  const { call } = message;
  message.copiesLeft -= 1;
  if (message.copiesLeft > 0) return;
  call.left -= 1;
  if (call.left === 0) call.end();
}

const full = (): OutageError =>
  new OutageError('SQS', new Error('too much is on its way to the queues'), 'overloaded');
