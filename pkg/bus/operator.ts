import type { RoleName } from '../kernel/roles.js';
import type { DeadLetterSink } from './port.js';

/** One thing that the engine has against what it should have. */
export interface TopologyItem {
  /** What it is, in the engine's own words: `topic game-events`, `queue game-events-archive.fifo`. */
  readonly resource: string;
  /** The setting, or `exists`. */
  readonly setting: string;
  readonly expected: string;
  /** null: there is none. */
  readonly found: string | null;
  readonly isRight: boolean;
}

/** What `create` did with one resource. */
export interface Created {
  readonly resource: string;
  /** `denied`: the engine refused for lack of rights. */
  readonly result: 'made' | 'changed' | 'was_right' | 'denied' | 'cannot_change';
  /** For `denied` and `cannot_change`: the command or setting that an operator must apply by hand. */
  readonly byHand?: string;
}

/** Where a role goes on reading after a rewind. */
export interface Rewound {
  readonly role: RoleName;
  /** Lanes, partitions or subscriptions that were moved. */
  readonly moved: number;
  /** Messages that will be delivered again, as far as the engine can tell. */
  readonly messages: number | null;
}

/** What was in an engine's own dead letter queue of a role, and stands in the dead letters now. */
export interface Collected {
  readonly role: RoleName;
  readonly messages: number;
}

/** The reason of letters that come from an engine's own dead letter queue. */
export const BROKER_GAVE_UP = 'broker_gave_up';

/** What an operator does with an engine beside publishing and reading. Every method rejects with OutageError when it cannot be reached. */
export interface BusOperator {
  /** Compares what is there with what Fairtally needs. Changes nothing. */
  check(): Promise<readonly TopologyItem[]>;
  /** Makes what is missing and sets what differs, where the engine allows it. Safe to run again. */
  create(): Promise<readonly Created[]>;
  /**
   * Lets roles read again what was published since an instant; their inboxes absorb what took effect. Absent where the
   * engine forgets what was read. The roles must not be running.
   *
   * @param toMs UTC ms
   * @throws FairtallyError `roles_running` when members are still joined, `not_kept` when the engine no longer has that time
   */
  rewind?(toMs: number, roles: readonly RoleName[]): Promise<readonly Rewound[]>;
  /**
   * Brings what the engine itself gave up, after far more deliveries than ours, into the dead letters, and deletes it there once it
   * stands here. Absent where the engine gives nothing up.
   */
  collect?(sink: DeadLetterSink, roles: readonly RoleName[]): Promise<readonly Collected[]>;
  close(): Promise<void>;
}
