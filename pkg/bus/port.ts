import type { Outcome } from '../kernel/outcome.js';
import type { RoleName } from '../kernel/roles.js';

/** What a publisher hands to the bus. */
export interface BusMessage {
  /** The player it belongs to: messages of one (gameId, playerId) share a lane. */
  readonly gameId: string;
  readonly playerId: string;
  /** hex SHA-256 of (identity, content hash, redrive number): brokers drop repeats of it silently. See messageIdOf. May be made when it is read. */
  readonly messageId: string;
  /** Well-formed Unicode without U+0000; at most 64 KiB of UTF-8. */
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What a role receives. Every role receives its own copy of every message, at least once. */
export interface Delivery {
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly messageId: string;
  readonly gameId: string;
  readonly playerId: string;
  /** `<lane>/<position>` or what the transport has in its place; with the body it names an unreadable message in the dead letters. */
  readonly position: string;
  /** How many attempts this delivery has had, this one included. Best effort after a crash. */
  readonly attempt: number;
}

/** Answers one outcome per delivery, in order. Throwing equals `retry` for all; an OutageError, thrown or in a `retry`, pauses and burns no attempt. */
export type BatchHandler = (batch: readonly Delivery[]) => Promise<readonly Outcome[]>;

/** Where what can never be applied goes. Rejects when it could not be stored durably: then nothing is acknowledged. */
export interface DeadLetterSink {
  put(role: RoleName, delivery: Delivery, reason: string, detail: string): Promise<void>;
}

export interface Subscription {
  /** Takes nothing new, finishes the batch in hand, gives its lanes back. */
  close(): Promise<void>;
}

export interface Lag {
  /** Messages published and not yet settled by the role. */
  readonly waiting: number;
  /** When the oldest of them was published, UTC ms, or an earlier time where the engine cannot tell; null when nothing waits. */
  readonly oldestPublishedAtMs: number | null;
  /**
   * Of engines with a dead letter queue of their own: what they moved there, for `BusOperator.collect` to bring back; null when it
   * could not be looked at. Nobody settles it, and it is not among `waiting`.
   */
  readonly brokerDead?: number | null;
}

/**
 * The transport between gateway and roles. At-least-once: duplicates are absorbed by each role's inbox.
 *
 * - Within a lane a role sees messages in the order of their commit, as far as the engine can.
 * - After a `retry`, later messages of that player in the batch are not settled before it is.
 * - `retry` is bounded (maxAttempts), then `dead`; an outage pauses without limit.
 */
export interface Bus {
  /** Resolves only when every role's copy is durable. Rejects with OutageError when it is not known to be. */
  publish(messages: readonly BusMessage[]): Promise<void>;
  /** Joins the role's consumer group: members of one role share the lanes. */
  subscribe(role: RoleName, handler: BatchHandler): Promise<Subscription>;
  lag(role: RoleName): Promise<Lag>;
  /** Rejects with OutageError when the engine cannot be reached. */
  ping(): Promise<void>;
  /** Ends subscriptions (see Subscription.close), refuses further publishing, frees what it holds. */
  close(): Promise<void>;
}
