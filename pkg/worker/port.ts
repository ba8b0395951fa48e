import type { AdmittedEvent } from '../contract/event.js';
import type { DeadLetterSink } from '../bus/port.js';
import type { GameDefinition } from '../games/port.js';
import type { RoleName } from '../kernel/roles.js';
import type { Sql } from '../postgres/port.js';

/** An event with the definition version it was admitted under. */
export interface RoleEvent {
  readonly event: AdmittedEvent;
  readonly definition: GameDefinition;
}

/**
 * The one shape of a role. Dispatch (pkg/worker) runs, in one READ COMMITTED transaction: insert an inbox row for every
 * event of the delivery and keep the new ones; of these, with what the role takes, `load`, `fold`, `save`; commits; then
 * `refresh`; then the bus acknowledges. A role never sees an event twice in `load`, `fold` and `save`.
 */
export interface Role<State, Changes> {
  readonly name: RoleName;
  /**
   * Whether the definition gives this role work for an event type. An event not taken has its inbox row all the same: the
   * first content of an identity decides for every role alike, and so does the version it came with (docs/adr/0008).
   */
  takes(definition: GameDefinition, type: string, mapped: boolean): boolean;
  /** Creates absent state rows (ON CONFLICT DO NOTHING), then locks all of them in key order and reads them. */
  load(sql: Sql, events: readonly RoleEvent[]): Promise<State>;
  /** Pure. Throws PoisonError for an event that can never be applied. */
  fold(state: State, events: readonly RoleEvent[]): Changes;
  /** A constant number of statements, whatever the batch. */
  save(sql: Sql, changes: Changes): Promise<void>;
  /** What committed changes made, by kind, for the counters: receipts, findings. */
  made?(changes: Changes): Readonly<Record<string, number>>;
  /** After commit, for every event of the delivery that the role takes, duplicates included: bring the view up to date. */
  refresh?(events: readonly RoleEvent[]): Promise<void>;
}

export interface PlayerRef {
  readonly gameId: string;
  readonly playerId: string;
}

/**
 * How a role makes its effects on one player again from the events it took (pkg/worker/rederive), in one READ COMMITTED
 * transaction: `lock`, then the events are read, then `save`. A batch of the role that meets it waits for the rows, and
 * adds to what was made again.
 */
export interface Rederivation<State> {
  readonly role: RoleName;
  readonly takes: Role<never, never>['takes'];
  /** Creates the rows that these events need and that are absent, then locks every row of the player, in key order. */
  lock(sql: Sql, player: PlayerRef, events: readonly RoleEvent[]): Promise<State>;
  /** Whether the locked rows are all that these events make. */
  covers(state: State, events: readonly RoleEvent[]): boolean;
  /** Makes the locked rows what these events, all of the player's, make of them. What is right already stays untouched. */
  save(sql: Sql, player: PlayerRef, state: State, events: readonly RoleEvent[]): Promise<void>;
  /** After the commit: bring the view up to date. */
  refresh?(player: PlayerRef): Promise<void>;
}

/** A row that many players' events make together, locked. */
export interface LockedShared {
  /**
   * Makes it what was counted and `lately` make of it. null: that is what it is.
   *
   * @returns what it should be and what it was
   */
  save(lately: readonly RoleEvent[]): Promise<SharedFault | null>;
}

export interface SharedFault {
  readonly what: string;
  readonly expected: string;
  readonly found: string;
}

/**
 * How a role makes rows again that events of many players make together (pkg/worker/rederive/shared.ts): all events up to an
 * instant are counted once, in any order; a row is then compared, and made again under its lock, with what came later.
 */
export interface SharedRederivation<Key extends { readonly subject: string }> {
  readonly role: RoleName;
  readonly takes: Role<never, never>['takes'];
  /** Counts events in. Throws PoisonError, and FairtallyError `too_many_rows`. */
  count(events: readonly RoleEvent[]): void;
  /** Rows that are not what was counted and `lately` make of them, `limit` at most. */
  differing(sql: Sql, lately: readonly RoleEvent[], limit: number): Promise<readonly Key[]>;
  /** Locks a row; where it is absent it is made, and locked so. */
  lock(sql: Sql, key: Key): Promise<LockedShared>;
  /** After the commit: bring the view up to date. */
  refresh(key: Key): Promise<void>;
}

/** Dead letters as dispatch needs them. `put` also counts the delivery as conflict or dead. */
export interface DeadLetters extends DeadLetterSink {
  /** Closes the open letters of events that take effect in this transaction. One statement. */
  closeApplied(sql: Sql, role: RoleName, events: readonly AdmittedEvent[]): Promise<void>;
}
