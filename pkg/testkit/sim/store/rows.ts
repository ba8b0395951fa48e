/** A row: columns by the names that the schema gives them. Never changed in place. */
export type Row = Readonly<Record<string, unknown>>;

/** The row locks of PostgreSQL, weakest first. */
export type LockMode = 'key share' | 'share' | 'no key update' | 'update';

const STRENGTH: Readonly<Record<LockMode, number>> = {
  'key share': 0,
  share: 1,
  'no key update': 2,
  update: 3,
};

/** Whether two transactions may hold these locks on one row together (PostgreSQL, "Row-Level Locks"): its table says just this. */
export const areCompatible = (a: LockMode, b: LockMode): boolean =>
  STRENGTH[a] + STRENGTH[b] < STRENGTH.update;

interface Version {
  readonly row: Row | null;
  /** The commit that made it. */
  readonly seq: number;
}

interface Lock {
  readonly holder: object;
  mode: LockMode;
}

/** The place of one key in a table: its committed versions, at most one that is not committed, and who holds it. */
export class Slot {
  versions: Version[] = [];
  pending: { readonly holder: object; row: Row | null } | null = null;
  readonly locks: Lock[] = [];
  /** Called when a lock of this row was let go. */
  readonly waiters = new Set<() => void>();
  /** Grows with each version: what stands here is another tuple then. */
  tuple = 1;

  constructor(
    readonly table: Table,
    readonly key: string,
    readonly number: number,
  ) {}

  /** The row as a snapshot shows it to a transaction. */
  seenBy(holder: object, snapshot: number): Row | null {
    if (this.pending?.holder === holder) return this.pending.row;
    for (let i = this.versions.length - 1; i >= 0; i -= 1) {
      const version = this.versions[i] as Version;
      if (version.seq <= snapshot) return version.row;
    }
    return null;
  }

  /** The newest row: the transaction's own, else the last that was committed. */
  newestFor(holder: object): Row | null {
    if (this.pending?.holder === holder) return this.pending.row;
    return this.versions.at(-1)?.row ?? null;
  }

  /** Who stands in the way of a lock. */
  holdersAgainst(holder: object, mode: LockMode): object[] {
    const against: object[] = [];
    for (const lock of this.locks) {
      if (lock.holder !== holder && !areCompatible(lock.mode, mode)) against.push(lock.holder);
    }
    return against;
  }

  grant(holder: object, mode: LockMode): void {
    const own = this.locks.find((lock) => lock.holder === holder);
    if (own === undefined) this.locks.push({ holder, mode });
    else if (STRENGTH[mode] > STRENGTH[own.mode]) own.mode = mode;
  }

  /** Ends a transaction's part in this row. `seq` is its commit; null: it is rolled back. */
  release(holder: object, seq: number | null, keepsHistory: boolean): void {
    const { pending } = this;
    if (pending?.holder === holder) {
      if (seq !== null) {
        const version = { row: pending.row, seq };
        if (keepsHistory) this.versions.push(version);
        else this.versions = [version];
      }
      this.pending = null;
    }
    const at = this.locks.findIndex((lock) => lock.holder === holder);
    if (at !== -1) this.locks.splice(at, 1);
    if (this.versions.length === 0 && this.locks.length === 0) this.table.slots.delete(this.key);
  }

  get place(): string {
    return `(${String(this.number)},${String(this.tuple)})`;
  }
}

let slotNumbers = 0;

export class Table {
  readonly slots = new Map<string, Slot>();
  private readonly byNumber = new Map<number, Slot>();

  constructor(readonly name: string) {}

  slotOf(key: string): Slot {
    let slot = this.slots.get(key);
    if (slot === undefined) {
      slotNumbers += 1;
      slot = new Slot(this, key, slotNumbers);
      this.slots.set(key, slot);
      this.byNumber.set(slot.number, slot);
    }
    return slot;
  }

  /** The slot whose current tuple stands at a place (`ctid`). */
  at(place: string): Slot | undefined {
    const slot = this.byNumber.get(Number(place.slice(1, place.indexOf(','))));
    return slot?.place === place ? slot : undefined;
  }

  /** Every committed row. */
  committed(): Row[] {
    const rows: Row[] = [];
    for (const { versions } of this.slots.values()) {
      const row = versions.at(-1)?.row;
      if (row !== undefined && row !== null) rows.push(row);
    }
    return rows;
  }
}
