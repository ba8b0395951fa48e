import { OutageError } from '../../../kernel/errors.js';
import type { Database, Sql, TransactionOptions } from '../../../postgres/port.js';
import { isTransient } from '../../../postgres/database.js';
import type { Answering, SimNode } from '../node.js';
import type { World } from '../world.js';
import type { StoreServer } from './server.js';
import { SqlError, type Session } from './session.js';
import { UntaughtStatement } from './statements.js';

const outage = (why: string): OutageError => new OutageError('PostgreSQL', new Error(why));

/** As pkg/postgres/database.ts tells errors: what values cause and what is transient stays, all else is an outage. */
const asProductionTells = (error: unknown): unknown => {
  if (!(error instanceof SqlError) || isTransient(error) || /^(22|23|54)/.test(error.code)) return error;
  return new OutageError('PostgreSQL', error);
};

/** Serialization failure, deadlock, lock timeout. */
const TRANSIENT = ['40001', '40P01', '55P03'] as const;

/** How late a server may learn that its client was killed: it keeps the locks until then. */
const NOTICED_MAX_MS = 2_000;

/** One process's connections to the simulated store. */
export class SimDatabase implements Database {
  constructor(
    private readonly node: SimNode,
    private readonly server: StoreServer,
    /** A statement that nobody taught is a fault of the simulator: the run ends with it. */
    private readonly onBug: (error: Error) => void,
    /** What its calls are counted under when a process is killed at them. */
    private readonly label = 'db',
  ) {}

  query<R extends object>(text: string, values: readonly unknown[] = []): Promise<R[]> {
    return new Connection(this.node, this.server, this.onBug, this.label).runAlone<R>(text, values);
  }

  async transaction<T>(work: (sql: Sql) => Promise<T>, options: TransactionOptions = {}): Promise<T> {
    const connection = new Connection(this.node, this.server, this.onBug, this.label, options.isolation);
    try {
      const value = await work({
        query: <R extends object>(text: string, values: readonly unknown[] = []) =>
          connection.run<R>(text, values),
      });
      await connection.commit();
      return value;
    } catch (error) {
      await connection.rollback();
      throw error;
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

type Answer<R> = Answering<R[]>;

class Connection {
  private session: Session | null = null;
  /** After an error a transaction takes nothing but its rollback. */
  private isFailed = false;
  private readonly world: World;
  private readonly life: number;
  private forget = (): void => undefined;

  constructor(
    private readonly node: SimNode,
    private readonly server: StoreServer,
    private readonly onBug: (error: Error) => void,
    private readonly label: string,
    private readonly isolation: TransactionOptions['isolation'] = 'read committed',
  ) {
    this.world = node.world;
    this.life = node.life;
  }

  private latencyMs(): number {
    const { latencyMs } = this.world.swarm;
    const slow = this.world.strikes('db.slow') ? this.world.chance.between(100, 9_000) : 0;
    return latencyMs * this.world.chance.between(0.2, 1.8) + slow;
  }

  /** The server learns of a client's death by its closed connection. */
  private begin(): Session {
    const session = this.server.open(this.isolation);
    const onDeath = (): void => {
      const late = this.world.chance.between(0, NOTICED_MAX_MS);
      this.world.after(late, 'db notices a dead client', () => this.server.rollback(session));
    };
    if (this.node.life === this.life) this.forget = this.node.onEnd(onDeath);
    else onDeath(); // its first statement was on the way when it died
    return session;
  }

  /** One statement of a transaction. */
  run<R extends object>(text: string, values: readonly unknown[]): Promise<R[]> {
    return this.node.ask<R[]>(`${this.label} statement`, (answer) =>
      this.send('db statement', text, values, answer, (rows) => answer.resolve(rows as R[])),
    );
  }

  /** One statement that is a transaction by itself. */
  runAlone<R extends object>(text: string, values: readonly unknown[]): Promise<R[]> {
    return this.node.ask<R[]>(`${this.label} query`, (answer) =>
      this.send('db query', text, values, this.ending(answer), (rows) => {
        if (this.session !== null) this.server.commit(this.session);
        this.forget();
        if (this.world.strikes('db.lost-after')) return answer.reject(outage('the answer was lost'));
        this.world.after(this.latencyMs(), `${this.node.name} db answer`, () => answer.resolve(rows as R[]));
      }),
    );
  }

  /** An error of a statement that is alone ends its transaction as well. */
  private ending<R>({ resolve, reject }: Answer<R>): Answer<R> {
    return {
      resolve,
      reject: (error) => {
        if (this.session !== null) this.server.rollback(this.session);
        this.forget();
        reject(error);
      },
    };
  }

  private send<R>(
    point: string,
    text: string,
    values: readonly unknown[],
    { reject }: Answer<R>,
    done: (rows: object[]) => void,
  ): void {
    const { world } = this;
    world.after(this.latencyMs(), `${this.node.name} ${point}`, () => {
      if (!this.server.isUp) return reject(this.broken('the server is away'));
      if (this.isFailed) return reject(new SqlError('25P02', 'current transaction is aborted'));
      if (world.strikes('db.lost-before')) return reject(this.broken('the connection was lost'));
      if (world.strikes('db.serialization'))
        return reject(
          this.failed(new SqlError(world.chance.pick(TRANSIENT), 'another transaction was first')),
        );
      if (world.strikes('db.disk-full')) return reject(this.failed(new SqlError('53100', 'no space left')));
      this.session ??= this.begin();
      this.server.execute(this.session, text, values, (error, rows) => {
        if (error === null) return done(rows);
        if (error instanceof UntaughtStatement) this.onBug(error);
        reject(this.failed(error));
      });
    });
  }

  private failed(error: unknown): unknown {
    this.isFailed = true;
    return asProductionTells(error);
  }

  private broken(why: string): OutageError {
    this.isFailed = true;
    if (this.session !== null) this.server.rollback(this.session);
    return outage(why);
  }

  /** COMMIT: it arrives or not, and its answer arrives or not. */
  commit(): Promise<void> {
    const { session, world } = this;
    if (session === null) return Promise.resolve();
    return this.node.ask(`${this.label} commit`, ({ resolve, reject }) => {
      world.after(this.latencyMs(), `${this.node.name} db commit`, () => {
        if (world.strikes('db.commit-lost-before')) return reject(this.broken('lost before COMMIT'));
        if (this.isFailed || !this.server.commit(session)) return reject(outage('the connection is gone'));
        this.forget();
        if (world.strikes('db.commit-lost-after')) return reject(outage('lost after COMMIT'));
        world.after(this.latencyMs(), `${this.node.name} db committed`, () => resolve(undefined));
      });
    });
  }

  rollback(): Promise<void> {
    const { session } = this;
    this.forget();
    if (session === null || session.isOver) return Promise.resolve();
    return this.node.ask(`${this.label} rollback`, ({ resolve }) => {
      this.world.after(this.latencyMs(), `${this.node.name} db rollback`, () => {
        this.server.rollback(session);
        resolve(undefined);
      });
    });
  }
}
