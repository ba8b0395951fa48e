import { AdvisoryLocks } from './advisory-locks.js';
import { SqlError, Session, type Isolation, type Pause, type Running } from './session.js';
import { Table, type Row } from './rows.js';
import type { Meaning } from './meaning.js';
import { meaningOf } from './statements.js';
import type { World } from '../world.js';

/** What becomes of a statement. */
export interface Done {
  (error: unknown, rows: object[]): void;
}

const LOCK_TIMEOUT_MS = 10_000;
const DEADLOCK_TIMEOUT_MS = 1_000;

/**
 * PostgreSQL as far as roles can tell: READ COMMITTED row versions, row locks, unique keys that are waited for, deadlocks.
 * It survives its clients; a restart rolls back what was not committed.
 */
export class StoreServer {
  isUp = true;
  skewMs = 0;
  /** A row of a game that was written by a transaction about events of others. */
  strayGame: string | null = null;
  readonly advisory = new AdvisoryLocks();
  private readonly tables = new Map<string, Table>();
  private readonly sessions = new Set<Session>();
  /** Commits so far. */
  private seq = 0;
  /** Statements that stopped half-way: their snapshots need old versions. */
  private halfWay = 0;
  /** Transactions whose reads repeat: so do theirs. */
  private repeating = 0;
  private serial = 0;

  constructor(
    readonly world: World,
    /** Other meanings of statements, by name. */
    private readonly doubles: Readonly<Record<string, Meaning>> = {},
  ) {}

  nowMs(): number {
    return Math.floor(this.world.nowMs + this.skewMs);
  }

  table(name: string): Table {
    let table = this.tables.get(name);
    if (table === undefined) this.tables.set(name, (table = new Table(name)));
    return table;
  }

  /** The next number of a table without a key of its own. */
  nextSerial(): number {
    this.serial += 1;
    return this.serial;
  }

  /** For building a world before it runs. */
  seedRow(table: string, key: string, row: object): void {
    this.table(table).slotOf(key).versions = [{ row: { ...row }, seq: 0 }];
  }

  open(isolation: Isolation = 'read committed'): Session {
    const session = new Session(this, isolation);
    this.sessions.add(session);
    if (isolation === 'repeatable read') this.repeating += 1;
    return session;
  }

  /** xact_start of the oldest transaction that runs. */
  oldestBeganAtMs(): number {
    let oldest = this.nowMs();
    for (const { beganAtMs } of this.sessions) oldest = Math.min(oldest, beganAtMs);
    return oldest;
  }

  /**
   * A hand in the database, or a fault of ours that nobody knows: a row is another one, or gone, with no statement that says why.
   *
   * @param change of the row that stands, null if there is none; null: it goes
   * @returns false when somebody holds the row
   */
  tamper(table: string, key: string, change: (row: Row | null) => Row | null): boolean {
    const slot = this.table(table).slotOf(key);
    if (slot.locks.length > 0) return false;
    const session = this.open();
    session.overwrite(slot, change(slot.newestFor(session)));
    return this.commit(session);
  }

  pausesHere(): boolean {
    return this.world.strikes('db.pause-in-statement');
  }

  /** Runs a statement in a session, now and as far as locks let it; `done` is called once, perhaps much later. */
  execute(session: Session, text: string, values: readonly unknown[], done: Done): void {
    if (session.isOver) return done(new SqlError('08006', 'the connection is gone'), []);
    let running: Running<object[]>;
    try {
      if (session.isolation === 'read committed' || session.snapshot < 0) session.snapshot = this.seq;
      running = meaningOf(text, this.doubles)(session, values);
    } catch (error) {
      return done(error, []);
    }
    this.goOn(session, running, done);
  }

  private goOn(session: Session, running: Running<object[]>, done: Done): void {
    let step: IteratorResult<Pause, object[]>;
    try {
      step = running.next();
    } catch (error) {
      return done(error, []);
    }
    if (step.done === true) return done(null, step.value);
    this.halfWay += 1;
    const proceed = (): void => {
      this.halfWay -= 1;
      if (session.isOver) done(new SqlError('08006', 'the connection is gone'), []);
      else this.goOn(session, running, done);
    };
    if (step.value.kind === 'breath')
      this.world.after(this.world.chance.between(0, 3), 'db goes on', proceed);
    else this.wait(session, step.value, proceed, done);
  }

  /** Parks a statement until the row may be free; ends it when it waited too long, or in a circle. */
  private wait(
    session: Session,
    { slot, mode }: Extract<Pause, { kind: 'locked' }>,
    proceed: () => void,
    done: Done,
  ): void {
    const fail = (error: SqlError): void => {
      leave();
      this.halfWay -= 1;
      done(error, []);
    };
    const timeout = this.world.after(LOCK_TIMEOUT_MS, 'db lock timeout', () =>
      fail(new SqlError('55P03', 'canceling statement due to lock timeout')),
    );
    // Whoever looks first, in a circle, is ended: which one that is is a matter of chance.
    const look = this.world.after(
      this.world.chance.between(0.9, 1.1) * DEADLOCK_TIMEOUT_MS,
      'db looks for deadlocks',
      () => {
        if (!this.isInCircle(session)) return;
        this.world.coverage.saw('deadlock');
        fail(new SqlError('40P01', 'deadlock detected'));
      },
    );
    const wake = (): void => {
      leave();
      this.world.after(0, 'db lock is free', proceed);
    };
    const leave = (): void => {
      timeout.act = null;
      look.act = null;
      slot.waiters.delete(wake);
      session.waitsFor = null;
    };
    session.waitsFor = slot;
    session.waitMode = mode;
    slot.waiters.add(wake);
    this.world.coverage.saw('lock wait');
  }

  private isInCircle(session: Session): boolean {
    const seen = new Set<Session>();
    const visit = (one: Session): boolean => {
      if (one.waitsFor === null) return false;
      const holders = one.waitsFor.holdersAgainst(one, one.waitMode) as Session[];
      for (const holder of holders) {
        if (holder === session) return true;
        if (seen.has(holder)) continue;
        seen.add(holder);
        if (visit(holder)) return true;
      }
      return false;
    };
    return visit(session);
  }

  commit(session: Session): boolean {
    if (session.isOver) return false;
    this.seq += 1;
    this.strayGame ??= strayGameOf(session);
    this.end(session, this.seq);
    return true;
  }

  rollback(session: Session): void {
    if (!session.isOver) this.end(session, null);
  }

  private end(session: Session, seq: number | null): void {
    session.isOver = true;
    this.sessions.delete(session);
    if (session.isolation === 'repeatable read') this.repeating -= 1;
    const waiters: (() => void)[] = [...(session.waitsFor?.waiters ?? [])];
    for (const slot of session.touched) {
      slot.release(session, seq, this.halfWay > 0 || this.repeating > 0);
      waiters.push(...slot.waiters);
    }
    session.touched.clear();
    this.advisory.release(session);
    for (const wake of new Set(waiters)) wake();
  }

  /** Ends every connection; what was committed stays. */
  crash(): void {
    this.isUp = false;
    for (const session of [...this.sessions]) this.rollback(session);
    this.advisory.releaseAll();
  }

  /** Statements that wait for a lock. */
  waitingCount(): number {
    let count = 0;
    for (const session of this.sessions) if (session.waitsFor !== null) count += 1;
    return count;
  }

  /** The committed row of a key. */
  row(table: string, key: string): Row | null {
    return this.table(table).slots.get(key)?.versions.at(-1)?.row ?? null;
  }

  committed(table: string): Record<string, unknown>[] {
    return this.table(table).committed();
  }
}

function strayGameOf(session: Session): string | null {
  if (session.games.size === 0) return null;
  for (const { table, key, pending } of session.touched) {
    const gameId = pending?.holder === session ? pending.row?.['game_id'] : undefined;
    if (typeof gameId === 'string' && !session.games.has(gameId)) return `${table.name} ${key}`;
  }
  return null;
}
