import { canonicalJson } from '../../../contract/canonical-json.js';
import type { JsonValue } from '../../../contract/event.js';
import type { Database, Sql, TransactionOptions } from '../../../postgres/port.js';
import { eventually } from '../../eventually.js';
import { Coverage } from '../coverage.js';
import { SimNode } from '../node.js';
import { FAULT_KINDS, swarmOf, type FaultKind } from '../swarm.js';
import { World } from '../world.js';
import { scoreKey } from './board-statements.js';
import { SimDatabase } from './client.js';
import { lifeKey } from './guard-statements.js';
import type { Row } from './rows.js';
import { StoreServer } from './server.js';

export type Columns = Readonly<Record<string, string | number>>;

/** PostgreSQL and its simulation behind one face, so that one script runs on both. */
export interface Engine {
  /** Begins a process's life under the lock of its incarnation; what it resolves to ends it. */
  live(incarnation: string): Promise<() => Promise<void>>;
  readonly db: Database;
  /** The game, and both versions of its definition. */
  prepare(dedupeFloor: string): Promise<void>;
  /** Everything that took effect did so an hour earlier than it did. */
  age(): Promise<void>;
  /** Somebody changes rows behind everybody's back; null: removes them. */
  tamper(table: string, where: Columns, change: Columns | null): Promise<void>;
  /** Resolves as the work does; makes time pass where time is virtual. */
  finish<T>(work: Promise<T>): Promise<T>;
  /** Resolves when nothing can go on any more: `open` pieces of work are done or wait for a lock. */
  settle(openCount: () => number): Promise<void>;
  /** Every committed row. */
  rows(table: string): Promise<Record<string, unknown>[]>;
}

export const realEngine = (db: Database): Engine => ({
  db,
  prepare: async (dedupeFloor) => {
    const insert =
      'INSERT INTO games (game_id, dedupe_floor, session_master_id, session_master) VALUES ($1, $2, $3, $4)';
    await db.query(insert, ['demo', dedupeFloor, 'm1', '']);
    await db.query(
      `INSERT INTO game_definitions (game_id, version, effective_from, source, source_sha256, applied_by)
       VALUES ('demo', 1, 'epoch', '', '', 'test'), ('demo', 2, 'epoch', '', '', 'test')`,
    );
  },
  age: async () => {
    for (const [table, column] of AGED)
      await db.query(`UPDATE ${table} SET ${column} = ${column} - interval '1 hour'`);
  },
  tamper: async (table, where, change) => {
    const names = [...Object.keys(where), ...Object.keys(change ?? {})];
    const set = (name: string): string => `${name} = $${String(names.lastIndexOf(name) + 1)}`;
    const is = (name: string): string => `${name} = $${String(names.indexOf(name) + 1)}`;
    const verb =
      change === null
        ? `DELETE FROM ${table}`
        : `UPDATE ${table} SET ${Object.keys(change).map(set).join(', ')}`;
    const condition = Object.keys(where).map(is).join(' AND ');
    await db.query(`${verb} WHERE ${condition}`, [...Object.values(where), ...Object.values(change ?? {})]);
  },
  finish: (work) => work,
  settle: (openCount) =>
    eventually('every open statement is done or waits for a lock', async () => {
      const [row] = await db.query<{ count: number }>(
        `SELECT count(*) AS count FROM pg_stat_activity
          WHERE datname = current_database() AND wait_event_type = 'Lock' AND state = 'active'`,
      );
      return row?.count === openCount();
    }),
  rows: (table) => db.query(`SELECT * FROM ${table}`),
  live: async (incarnation) => {
    let end = (): void => undefined;
    const isOver = new Promise<void>((resolve) => (end = resolve));
    let life = Promise.resolve();
    await new Promise<void>((isHeld, failed) => {
      life = db.transaction(async (sql) => {
        await sql.query('SELECT pg_advisory_xact_lock($1::bigint)', [incarnation]);
        await db.query('INSERT INTO worker_lives (incarnation) VALUES ($1::bigint)', [incarnation]);
        isHeld();
        await isOver;
      });
      life.catch(failed);
    });
    return () => {
      end();
      return life;
    };
  },
});

/** Where it stands when something was made. */
const AGED = [
  ['inbox', 'settled_at'],
  ['events', 'archived_at'],
  ['games', 'created_at'],
  ['archive_followed', 'through'],
] as const;
const HOUR_MS = 3_600_000;

const NO_FAULTS = Object.fromEntries(FAULT_KINDS.map((kind) => [kind, 0])) as Record<FaultKind, number>;

export function simulatedEngine(): Engine {
  const world = new World(1, { ...swarmOf(1), faults: NO_FAULTS, latencyMs: 0.5 }, new Coverage());
  const server = new StoreServer(world);
  const node = new SimNode(world, 'test');
  node.start();
  const db = new SimDatabase(node, server, (bug) => {
    throw bug;
  });
  const finish = async <T>(work: Promise<T>): Promise<T> => {
    let isDone = false;
    const done = (): void => void (isDone = true);
    work.then(done, done);
    await new Promise((resolve) => setImmediate(resolve));
    await world.run(() => isDone);
    return work;
  };
  return {
    db,
    finish,
    prepare: async (dedupeFloor) => {
      const created_at = server.nowMs();
      server.seedRow('games', 'demo', { game_id: 'demo', dedupe_floor: dedupeFloor, created_at });
      for (const version of [1, 2])
        server.seedRow('game_definitions', `demo ${String(version)}`, { game_id: 'demo', version });
    },
    age: async () => {
      for (const [table, column] of AGED)
        for (const { key } of [...server.table(table).slots.values()])
          server.tamper(table, key, (row) =>
            row === null ? null : { ...row, [column]: (row[column] as number) - HOUR_MS },
          );
    },
    tamper: async (table, where, change) => {
      const fits = (row: Row): boolean => Object.entries(where).every(([name, value]) => row[name] === value);
      for (const { key } of [...server.table(table).slots.values()]) {
        const row = server.row(table, key);
        if (row === null || !fits(row)) continue;
        const changed = change === null ? null : { ...row, ...change };
        const changedKey = table === 'board_scores' && changed !== null ? scoreKey(changed) : key;
        if (changedKey !== key) server.tamper(table, key, () => null);
        server.tamper(table, changedKey, () => changed);
      }
    },
    settle: async (openCount) => {
      await new Promise((resolve) => setImmediate(resolve));
      await world.run(() => server.waitingCount() === openCount());
    },
    rows: async (table) => server.committed(table),
    live: async (incarnation) => {
      server.seedRow('worker_lives', incarnation, { incarnation });
      const holder = {};
      server.advisory.take(lifeKey(incarnation), holder);
      return async () => server.advisory.release(holder);
    },
  };
}

export type Act = ((sql: Sql) => Promise<string>) | 'commit' | 'rollback';
export type Script = readonly (readonly [transaction: string, act: Act])[];

class RolledBack extends Error {}

interface Wish {
  readonly act: Act;
  readonly told: (result: string) => void;
}

/** A transaction that does one thing after another, when it is told to. */
class OpenTransaction {
  private readonly wishes: Wish[] = [];
  private wake = (): void => undefined;
  private readonly ended: Promise<string>;

  constructor(db: Database, options: TransactionOptions) {
    this.ended = db
      .transaction((sql) => this.work(sql), options)
      .then(
        () => 'committed',
        (error: unknown) => codeOf(error),
      );
  }

  do(act: Act): Promise<string> {
    return new Promise((told) => {
      this.wishes.push({ act, told });
      this.wake();
    });
  }

  /** Rolls back what is open. */
  async end(): Promise<void> {
    void this.do('rollback');
    await this.ended;
  }

  private async work(sql: Sql): Promise<void> {
    for (;;) {
      const wish = this.wishes.shift();
      if (wish === undefined) {
        await new Promise<void>((resolve) => (this.wake = resolve));
        continue;
      }
      const { act, told } = wish;
      if (act === 'commit' || act === 'rollback') {
        void this.ended.then(told);
        if (act === 'commit') return;
        throw new RolledBack();
      }
      try {
        told(await act(sql));
      } catch (error) {
        told(codeOf(error));
        throw error;
      }
    }
  }
}

const codeOf = (error: unknown): string =>
  error instanceof RolledBack ? 'rolled back' : String((error as { code?: unknown }).code ?? error);

/** Work under these names is no part of a transaction of the script: it brings its own. */
const ALONE = new Set(['x', 'y', 'z']);

/** The reads of a transaction of this name repeat. */
const REPEATS = 'r';
const SNAPSHOT = { isolation: 'repeatable read', readOnly: true } as const;

/**
 * Plays what several transactions do in a given order, each as far as locks let it.
 *
 * What is open at the end is rolled back.
 *
 * @returns per step what came of it, and whether it had to wait for a lock
 */
export async function playScript(engine: Engine, script: Script): Promise<string[]> {
  const results = new Array<string>(script.length).fill('never');
  const waits: boolean[] = [];
  const waiting = new Set<number>();
  const transactions = new Map<string, OpenTransaction>();
  const start = (name: string, act: Act): Promise<string> => {
    if (ALONE.has(name) && typeof act === 'function') return act(engine.db).catch(codeOf);
    const transaction =
      transactions.get(name) ?? new OpenTransaction(engine.db, name === REPEATS ? SNAPSHOT : {});
    transactions.set(name, transaction);
    return transaction.do(act);
  };
  const all: Promise<void>[] = [];
  for (const [i, [name, act]] of script.entries()) {
    waiting.add(i);
    const told = (result: string): void => {
      results[i] = result;
      waiting.delete(i);
    };
    all.push(start(name, act).then(told));
    await engine.settle(() => waiting.size);
    waits.push(waiting.has(i));
  }
  await engine.finish(Promise.all(all));
  for (const transaction of transactions.values()) await engine.finish(transaction.end());
  return script.map(([name], i) => `${name}: ${results[i] ?? ''}${waits[i] === true ? ' (waited)' : ''}`);
}

/** What both keep; times of the server's own clock and numbers it hands out are left aside. */
const COLUMNS: Readonly<Record<string, string>> = {
  inbox: 'role dedupe_day identity game_id lane content_hash definition_version',
  events: 'game_id player_id dedupe_day identity event_id type ts_ms content_hash definition_version payload',
  player_profiles: 'game_id player_id first_seen_ms last_seen_ms events',
  player_progress: 'game_id player_id total_xp level definition_version revision updated_at_ms',
  progress_events: 'game_id player_id ts_ms dedupe_day identity delta_xp definition_version',
  receipts:
    'game_id player_id grant_key receipt_id reward amount cause ts_ms event_id src kid jws definition_version',
  board_scores:
    'game_id board cycle partition subject score reached_at reached_id definition_version revision',
  board_cycles: 'game_id board cycle partition epoch closes_at revised definition_version',
  leaderboard_snapshots: 'game_id board cycle partition subject score reached_at place',
  fairness_baselines: 'game_id player_id metric partition samples mean m2 last_ts_ms',
  fairness_samples:
    'game_id player_id metric partition sample_no dedupe_day identity value definition_version',
  suspicious_events: 'game_id player_id metric partition identity sample_no value judged mean deviation z',
  dead_letters:
    'role game_id player_id identity content_hash transport_position reason attempts state body closed_by closed_why',
  resubmissions: 'role game_id player_id identity content_hash position body state',
  operator_actions: 'action actor why',
  corrections: 'role dedupe_day',
  reconciled: 'role',
  batches_in_hand: 'role incarnation slot keys is_alone',
  crash_suspects: 'role key deaths crashes',
  archive_followed: 'role',
  unarchived: 'role dedupe_day identity game_id lane content_hash',
  healing_walks: 'kind place',
  role_counters: 'role lane delivered applied duplicate conflict dead',
};

export async function tablesOf(engine: Engine): Promise<Record<string, string[]>> {
  const tables: Record<string, string[]> = {};
  for (const [table, columns] of Object.entries(COLUMNS)) {
    const rows = await engine.rows(table);
    tables[table] = rows
      .map((row) =>
        columns
          .split(' ')
          .map((name) => `${name}=${plain(row[name], name)}`)
          .join(' '),
      )
      .sort();
  }
  return tables;
}

/** A value as text, however the engine holds it. */
function plain(value: unknown, name: string): string {
  if (value === null || value === undefined) return '-';
  if (value instanceof Date) return String(value.getTime());
  if (Buffer.isBuffer(value)) return value.toString('hex');
  if (Array.isArray(value)) return value.map(String).sort().join(); // a set
  if (name === 'identity') return String(value).replaceAll('-', '');
  if (name === 'payload')
    return canonicalJson((typeof value === 'string' ? JSON.parse(value) : value) as JsonValue);
  return String(value);
}
