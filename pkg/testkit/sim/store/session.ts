import type { LockMode, Row, Slot, Table } from './rows.js';
import type { StoreServer } from './server.js';

/** Why a statement stopped half-way: a lock that another holds, or the scheduler's whim. */
export type Pause =
  { readonly kind: 'locked'; readonly slot: Slot; readonly mode: LockMode } | { readonly kind: 'breath' };

/** A statement under way: it stops where PostgreSQL could stop. */
export type Running<T> = Generator<Pause, T, void>;

/** An error as the server tells it. */
export class SqlError extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** READ COMMITTED, or REPEATABLE READ where nothing is written. */
export type Isolation = 'read committed' | 'repeatable read';

/** One transaction of one connection, and what its statements may do to rows. */
export class Session {
  isOver = false;
  /** The snapshot of the statement under way; of the transaction, where reads repeat. */
  snapshot = -1;
  readonly touched = new Set<Slot>();
  /** Games whose events this transaction settles; empty where it settles none. */
  readonly games = new Set<string>();
  /** Whom it waits for. */
  waitsFor: Slot | null = null;
  waitMode: LockMode = 'update';
  /** now(): when the transaction began. */
  readonly beganAtMs: number;

  constructor(
    readonly server: StoreServer,
    readonly isolation: Isolation,
  ) {
    this.beganAtMs = server.nowMs();
  }

  table(name: string): Table {
    return this.server.table(name);
  }

  /** pg_try_advisory_xact_lock: held until the transaction ends. */
  tryAdvisory(key: string): boolean {
    return this.server.advisory.take(key, this);
  }

  /** pg_try_advisory_xact_lock_shared. */
  tryAdvisoryShared(key: string): boolean {
    return this.server.advisory.share(key, this);
  }

  /** The row of a key in the statement's snapshot. */
  get(table: string, key: string): Row | null {
    return this.table(table).slots.get(key)?.seenBy(this, this.snapshot) ?? null;
  }

  /** All rows in the snapshot that fit. */
  rows(table: string, fits: (row: Row) => boolean = () => true): { key: string; row: Row }[] {
    const found: { key: string; row: Row }[] = [];
    for (const slot of this.table(table).slots.values()) {
      const row = slot.seenBy(this, this.snapshot);
      if (row !== null && fits(row)) found.push({ key: slot.key, row });
    }
    return found;
  }

  some(table: string, fits: (row: Row) => boolean): boolean {
    for (const slot of this.table(table).slots.values()) {
      const row = slot.seenBy(this, this.snapshot);
      if (row !== null && fits(row)) return true;
    }
    return false;
  }

  *acquire(slot: Slot, mode: LockMode): Running<void> {
    if (this.isolation === 'repeatable read') throw new Error('such a transaction only reads here');
    if (this.server.pausesHere()) yield { kind: 'breath' };
    while (slot.holdersAgainst(this, mode).length > 0) yield { kind: 'locked', slot, mode };
    slot.grant(this, mode);
    this.touched.add(slot);
  }

  /**
   * SELECT ... FOR: a row of the snapshot is locked and read anew, for it may have changed while it was waited for.
   * null: the snapshot has none, or it is gone, or the new one does not fit.
   */
  *lock(
    table: string,
    key: string,
    mode: LockMode,
    fits: (row: Row) => boolean = () => true,
  ): Running<Row | null> {
    const slot = this.table(table).slots.get(key);
    const seen = slot?.seenBy(this, this.snapshot) ?? null;
    if (slot === undefined || seen === null || !fits(seen)) return null;
    yield* this.acquire(slot, mode);
    const row = slot.newestFor(this);
    return row !== null && fits(row) ? row : null;
  }

  /** UPDATE of one row of the snapshot; `change` is given the newest version, after the wait. False: nothing to update. */
  *update(
    table: string,
    key: string,
    change: (row: Row) => Row,
    fits: (row: Row) => boolean = () => true,
  ): Running<boolean> {
    const row = yield* this.lock(table, key, 'no key update', fits);
    if (row === null) return false;
    this.write(this.table(table).slotOf(key), change(row));
    return true;
  }

  /** INSERT ... ON CONFLICT DO NOTHING: waits for whoever is inserting the same key. False: it stands already. */
  *insert(table: string, key: string, row: Row): Running<boolean> {
    for (;;) {
      const slot = this.table(table).slotOf(key);
      // What is committed stands, whoever changes it now; what another is inserting is decided when its transaction ends.
      if (slot.newestFor(this) !== null) return false;
      if (slot.pending !== null && slot.pending.holder !== this) {
        yield { kind: 'locked', slot, mode: 'update' };
        continue;
      }
      if (this.server.pausesHere()) {
        yield { kind: 'breath' };
        continue;
      }
      slot.grant(this, 'update');
      this.touched.add(slot);
      this.write(slot, row);
      return true;
    }
  }

  /** INSERT without a clause for conflicts. */
  *insertNew(table: string, key: string, row: Row): Running<void> {
    if (!(yield* this.insert(table, key, row)))
      throw new SqlError('23505', `duplicate key value violates unique constraint of ${table}: ${key}`);
  }

  /** INSERT ... ON CONFLICT DO UPDATE. `change` may leave the row as it is by answering null. */
  *upsert(table: string, key: string, row: Row, change: (row: Row) => Row | null): Running<Row | null> {
    for (;;) {
      if (yield* this.insert(table, key, row)) return row;
      const slot = this.table(table).slotOf(key);
      yield* this.acquire(slot, 'no key update');
      const newest = slot.newestFor(this);
      if (newest === null) continue; // it was deleted while we waited
      const changed = change(newest);
      if (changed !== null) this.write(slot, changed);
      return changed;
    }
  }

  /** DELETE of one row. */
  *remove(table: string, key: string): Running<void> {
    if ((yield* this.lock(table, key, 'update')) !== null) this.write(this.table(table).slotOf(key), null);
  }

  /** A row that somebody puts into a slot that nobody holds, by no statement of ours; null removes it. */
  overwrite(slot: Slot, row: Row | null): void {
    slot.grant(this, 'update');
    this.touched.add(slot);
    this.write(slot, row);
  }

  private write(slot: Slot, row: Row | null): void {
    slot.tuple += 1;
    if (slot.pending === null) slot.pending = { holder: this, row };
    else slot.pending.row = row;
  }
}
