import type { Message } from 'rhea';

/** What the double keeps of an entity, and the rules of the service that Fairtally's promise depends on. No network here. */
export interface EntitySettings {
  readonly duplicateWindowMs: number;
  readonly lockDurationMs: number;
  readonly maxDeliveryCount: number;
  /** Of one message and of one batch on the wire. */
  readonly maxMessageBytes: number;
}

export interface StoredMessage {
  readonly sequence: number;
  readonly enqueuedAtMs: number;
  readonly message: Message;
  deliveryCount: number;
}

/** A client's exclusive hold on one session, until it ends, is released or runs out. */
export interface SessionLock {
  readonly sessionId: string;
  untilMs: number;
  /** Sequence numbers that were sent to the holder and not settled. */
  readonly inFlight: Set<number>;
  /** Told when the lock runs out under its holder. */
  onLost(): void;
  /** Told when there may be something to send. */
  onMessages(): void;
}

interface SessionQueue {
  readonly id: string;
  readonly messages: Map<number, StoredMessage>;
  lock: SessionLock | null;
  timer: NodeJS.Timeout | null;
}

type Waiter = (lock: SessionLock) => void;

export class TopicDouble {
  readonly subscriptions = new Map<string, SubscriptionDouble>();
  /** When each MessageId was first taken: a repeat inside the window is told as accepted and dropped. */
  private readonly seen = new Map<string, number>();

  constructor(
    readonly settings: EntitySettings,
    subscriptions: readonly string[],
  ) {
    for (const name of subscriptions) this.subscriptions.set(name, new SubscriptionDouble(settings));
  }

  publish(messages: readonly Message[]): void {
    const nowMs = Date.now();
    for (const message of messages) {
      const id = String(message.message_id);
      const seenAtMs = this.seen.get(id);
      if (seenAtMs !== undefined && nowMs - seenAtMs < this.settings.duplicateWindowMs) continue;
      this.seen.set(id, nowMs);
      for (const subscription of this.subscriptions.values()) subscription.enqueue(message, nowMs);
    }
  }
}

/** The one session of what was given up. */
export const DEAD_SESSION = '';

export class SubscriptionDouble {
  private queueOfDead: SubscriptionDouble | null = null;
  /** How often a lock was renewed. */
  renewals = 0;
  private readonly sessions = new Map<string, SessionQueue>();
  /** Sessions with messages that nobody holds, longest waiting first. */
  private readonly free = new Set<string>();
  private readonly waiters = new Set<Waiter>();
  private sequence = 0;

  constructor(private readonly settings: EntitySettings) {}

  /** Where it puts what it gives up: `<subscription>/$DeadLetterQueue`, read without sessions, which is one session here. */
  get deadQueue(): SubscriptionDouble {
    this.queueOfDead ??= new SubscriptionDouble({ ...this.settings, maxDeliveryCount: Infinity });
    return this.queueOfDead;
  }

  get deadLetters(): readonly StoredMessage[] {
    return this.deadQueue.peek(0, Infinity);
  }

  enqueue(message: Message, enqueuedAtMs: number, sessionId = message.group_id ?? ''): void {
    const session = this.session(sessionId);
    this.sequence += 1;
    const stored = { sequence: this.sequence, enqueuedAtMs, message, deliveryCount: 0 };
    session.messages.set(stored.sequence, stored);
    if (session.lock === null) this.offer(session);
    else session.lock.onMessages();
  }

  /** Hands over the lock of a session with messages, now or when there is one; the answer withdraws the wish. */
  acceptNext(waiter: Waiter): () => void {
    const [id] = this.free;
    if (id === undefined) this.waiters.add(waiter);
    else waiter(this.lock(this.session(id)));
    return () => void this.waiters.delete(waiter);
  }

  /** null: another holds it. */
  acceptNamed(id: string): SessionLock | null {
    const session = this.session(id);
    return session.lock === null ? this.lock(session) : null;
  }

  /** The next messages of the lock's session, in order, that it has not in flight. */
  take(lock: SessionLock, max: number): StoredMessage[] {
    const taken: StoredMessage[] = [];
    for (const stored of this.session(lock.sessionId).messages.values()) {
      if (taken.length >= max) break;
      if (!lock.inFlight.has(stored.sequence)) taken.push(stored);
    }
    for (const { sequence } of taken) lock.inFlight.add(sequence);
    return taken;
  }

  /** false: the lock is not held any more, nothing changes. */
  settle(lock: SessionLock, sequence: number, how: 'complete' | 'abandon' | 'dead-letter'): boolean {
    const session = this.session(lock.sessionId);
    if (session.lock !== lock || !lock.inFlight.delete(sequence)) return false;
    if (how === 'abandon') this.deliveredInVain(session, [sequence]);
    else {
      const stored = session.messages.get(sequence);
      session.messages.delete(sequence);
      if (how === 'dead-letter' && stored !== undefined) this.bury(stored);
    }
    return true;
  }

  /** The new end of the lock; null when it is lost. */
  renew(lock: SessionLock): number | null {
    const session = this.session(lock.sessionId);
    if (session.lock !== lock) return null;
    this.startTimer(session, lock);
    this.renewals += 1;
    return lock.untilMs;
  }

  /** The holder closed its link, or its connection ended: the session is free at once. */
  release(lock: SessionLock): void {
    const session = this.session(lock.sessionId);
    if (session.lock === lock) this.unlock(session, lock);
  }

  /** Every lock runs out at this moment. */
  expireLocks(): void {
    for (const session of this.sessions.values()) this.expire(session);
  }

  get locked(): number {
    return [...this.sessions.values()].filter(({ lock }) => lock !== null).length;
  }

  /** By sequence number, locked ones too, of all sessions or of one. */
  peek(from: number, max: number, sessionId?: string): StoredMessage[] {
    const sessions = sessionId === undefined ? [...this.sessions.values()] : [this.session(sessionId)];
    return sessions
      .flatMap(({ messages }) => [...messages.values()])
      .filter(({ sequence }) => sequence >= from)
      .sort((a, b) => a.sequence - b.sequence)
      .slice(0, max);
  }

  close(): void {
    for (const { timer } of this.sessions.values()) if (timer !== null) clearTimeout(timer);
    this.queueOfDead?.close();
  }

  private session(id: string): SessionQueue {
    let session = this.sessions.get(id);
    if (session === undefined) {
      session = { id, messages: new Map(), lock: null, timer: null };
      this.sessions.set(id, session);
    }
    return session;
  }

  private lock(session: SessionQueue): SessionLock {
    const lock: SessionLock = {
      sessionId: session.id,
      untilMs: 0,
      inFlight: new Set(),
      onLost: () => undefined,
      onMessages: () => undefined,
    };
    session.lock = lock;
    this.free.delete(session.id);
    this.startTimer(session, lock);
    return lock;
  }

  private startTimer(session: SessionQueue, lock: SessionLock): void {
    lock.untilMs = Date.now() + this.settings.lockDurationMs;
    if (session.timer !== null) clearTimeout(session.timer);
    session.timer = setTimeout(() => this.expire(session), this.settings.lockDurationMs);
  }

  private expire(session: SessionQueue): void {
    const { lock } = session;
    if (lock === null) return;
    this.unlock(session, lock);
    lock.onLost();
  }

  private unlock(session: SessionQueue, lock: SessionLock): void {
    if (session.timer !== null) clearTimeout(session.timer);
    session.timer = null;
    session.lock = null;
    this.deliveredInVain(session, [...lock.inFlight]);
    lock.inFlight.clear();
    this.offer(session);
  }

  /** One delivery of each is used up; the last one ends in the dead letters. */
  private deliveredInVain(session: SessionQueue, sequences: readonly number[]): void {
    for (const sequence of sequences) {
      const stored = session.messages.get(sequence);
      if (stored === undefined) continue;
      stored.deliveryCount += 1;
      if (stored.deliveryCount < this.settings.maxDeliveryCount) continue;
      session.messages.delete(sequence);
      this.bury(stored);
    }
  }

  private bury({ message, enqueuedAtMs }: StoredMessage): void {
    this.deadQueue.enqueue(message, enqueuedAtMs, DEAD_SESSION);
  }

  private offer(session: SessionQueue): void {
    if (session.messages.size === 0) return;
    const [waiter] = this.waiters;
    if (waiter === undefined) {
      this.free.add(session.id);
      return;
    }
    this.waiters.delete(waiter);
    waiter(this.lock(session));
  }
}
