import type { EventContext, Sender } from 'rhea';
import type { SessionLock, SubscriptionDouble } from './entities.js';
import { accepted, answerDrain, answerSession, echoTermini, lockToken, outgoing, rejected } from './wire.js';

export const SESSION_FILTER = 'com.microsoft:session-filter';
const LOCK_LOST = { condition: 'com.microsoft:session-lock-lost', description: 'The session lock was lost.' };

/** A client's receiving link on a session that it holds: messages out, dispositions in. */
export class SessionLink {
  private readonly sequences = new Map<object, number>();
  /** Sent and not yet counted against the credit by rhea, which does so at the end of a turn. */
  private justSent = 0;

  constructor(
    private readonly sender: Sender,
    private readonly subscription: SubscriptionDouble,
    readonly lock: SessionLock,
    /** Whether the client asked for a session and is told which one it has. */
    isSession: boolean,
  ) {
    lock.onLost = () => sender.close(LOCK_LOST);
    lock.onMessages = () => void setImmediate(() => this.pump());
    sender.on('sender_flow', () => this.pump());
    sender.on('sender_draining', () => {
      this.pump();
      answerDrain(sender);
    });
    sender.on('accepted', (context: EventContext) => this.settle(context, 'complete'));
    sender.on('modified', (context: EventContext) => this.settle(context, 'abandon'));
    sender.on('rejected', (context: EventContext) => this.settle(context, 'dead-letter'));
    if (isSession) answerSession(sender, SESSION_FILTER, lock.sessionId, lock.untilMs);
    else echoTermini(sender);
    sender.open();
  }

  get name(): string {
    return this.sender.name;
  }

  end(): void {
    this.subscription.release(this.lock);
  }

  private pump(): void {
    if (!this.sender.is_open()) return;
    const credit = (this.sender as unknown as { credit: number }).credit - this.justSent;
    const taken = credit > 0 ? this.subscription.take(this.lock, credit) : [];
    if (taken.length === 0) return;
    for (const stored of taken) {
      const delivery = this.sender.send(outgoing(stored, this.lock.untilMs), lockToken());
      this.sequences.set(delivery, stored.sequence);
    }
    this.justSent += taken.length;
    setImmediate(() => {
      this.justSent = 0;
      this.pump();
    });
  }

  private settle({ delivery }: EventContext, how: 'complete' | 'abandon' | 'dead-letter'): void {
    if (delivery === undefined) return;
    const sequence = this.sequences.get(delivery);
    if (sequence === undefined) return;
    this.sequences.delete(delivery);
    const isSettled = this.subscription.settle(this.lock, sequence, how);
    delivery.update(true, isSettled ? accepted() : rejected(LOCK_LOST));
    // Else the slot of the delivery is never given back.
    (delivery as { remote_settled: boolean }).remote_settled = true;
  }
}
