import { createHash } from 'node:crypto';
import pg from 'pg';
import { FairtallyError, OutageError } from '../kernel/errors.js';
import type { Database, Sql, TransactionOptions } from './port.js';

export interface DatabaseOptions {
  readonly url: string;
  /** Connections at most. */
  readonly poolSize?: number;
  /** Shown in pg_stat_activity. */
  readonly applicationName?: string;
  readonly statementTimeoutMs?: number;
  readonly lockTimeoutMs?: number;
  /** An idle connection that breaks is no failure of any call; it is only told here. */
  readonly onIdleError?: (error: Error) => void;
}

const CONNECT_TIMEOUT_MS = 5_000;
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 30_000;

const OUTAGE_STATES = /^(08|57P0[1-5]|53|58|25006|57014)/;
const OUTAGE_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOENT',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
]);
const OUTAGE_MESSAGES =
  /Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|Cannot use a pool after calling end|client was closed|not queryable/i;
const TRANSIENT_STATES = new Set(['40001', '40P01', '55P03']);

/** Whether the same transaction can succeed when run again: serialization failure, deadlock, lock timeout. */
export const isTransient = (error: unknown): boolean => TRANSIENT_STATES.has(sqlStateOf(error));

const sqlStateOf = (error: unknown): string =>
  typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string'
    ? error.code
    : '';

function toKernelError(error: unknown): unknown {
  if (error instanceof FairtallyError) return error;
  const state = sqlStateOf(error);
  const message = error instanceof Error ? error.message : '';
  const isOutage =
    OUTAGE_CODES.has(state) ||
    (state.length === 5 && OUTAGE_STATES.test(state)) ||
    OUTAGE_MESSAGES.test(message);
  return isOutage ? new OutageError('PostgreSQL', error) : error;
}

function readBigint(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new RangeError('a bigint of the database is beyond 2^53');
  return value;
}

const readers = new Map<number, (text: string) => unknown>([
  [pg.types.builtins.INT8, readBigint],
  [pg.types.builtins.DATE, (text) => text],
  [pg.types.builtins.NUMERIC, readBigint],
]);
type TypeId = Parameters<typeof pg.types.getTypeParser>[0];
type Parser = (value: string) => unknown;
/** Our own readers of text; everything else as `pg` reads it. */
const parserOf = (id: TypeId, format?: 'text' | 'binary'): Parser =>
  (format === 'binary' ? undefined : readers.get(id)) ?? (pg.types.getTypeParser(id, format) as Parser);
const types = { getTypeParser: parserOf };

const statementNames = new Map<string, string>();
const STATEMENT_NAMES_MAX = 1_000;

/** Every statement text is prepared once per connection under a name made of its hash. */
function statementName(text: string): string {
  let name = statementNames.get(text);
  if (name === undefined) {
    if (statementNames.size >= STATEMENT_NAMES_MAX)
      throw new Error('too many different statements: pass values as parameters');
    name = `s_${createHash('sha256').update(text).digest('hex').slice(0, 32)}`;
    statementNames.set(text, name);
  }
  return name;
}

async function run<Row extends object>(
  client: pg.Pool | pg.PoolClient,
  text: string,
  values: readonly unknown[],
): Promise<Row[]> {
  try {
    const result = await client.query<Row>({ name: statementName(text), text, values: [...values], types });
    return result.rows;
  } catch (error) {
    throw toKernelError(error);
  }
}

const BEGIN: Record<string, string> = {
  'read committed': 'BEGIN ISOLATION LEVEL READ COMMITTED',
  'repeatable read': 'BEGIN ISOLATION LEVEL REPEATABLE READ',
};

/** A pool of connections to a PostgreSQL 14 or newer. Connects on first use. */
export function createDatabase(options: DatabaseOptions): Database {
  const pool = new pg.Pool({
    connectionString: options.url,
    max: options.poolSize ?? 10,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_TIMEOUT_MS,
    statement_timeout: options.statementTimeoutMs ?? 30_000,
    lock_timeout: options.lockTimeoutMs ?? 10_000,
    application_name: options.applicationName ?? 'fairtally',
    keepAlive: true,
  });
  // Without this listener an idle connection that breaks would end the process.
  pool.on('error', (error) => options.onIdleError?.(error));

  const connect = async (): Promise<pg.PoolClient> => {
    try {
      return await pool.connect();
    } catch (error) {
      throw toKernelError(error);
    }
  };

  let closing: Promise<void> | null = null;
  return {
    query: (text, values = []) => run(pool, text, values),
    transaction: async (work, transactionOptions = {}) =>
      inTransaction(await connect(), work, transactionOptions),
    close: () => (closing ??= pool.end()),
  };
}

async function inTransaction<T>(
  client: pg.PoolClient,
  work: (sql: Sql) => Promise<T>,
  options: TransactionOptions,
): Promise<T> {
  // A checked-out client that loses its connection emits 'error' beside rejecting the query in flight.
  const ignore = (): void => undefined;
  client.on('error', ignore);
  let broken: Error | undefined;
  try {
    await client.query(
      `${BEGIN[options.isolation ?? 'read committed'] ?? ''}${options.readOnly === true ? ' READ ONLY' : ''}`,
    );
    const value = await work({ query: (text, values = []) => run(client, text, values) });
    await client.query('COMMIT');
    return value;
  } catch (error) {
    try {
      await client.query('ROLLBACK');
    } catch (rollbackError) {
      broken = rollbackError instanceof Error ? rollbackError : new Error('rollback failed');
    }
    throw toKernelError(error);
  } finally {
    client.off('error', ignore);
    client.release(broken);
  }
}
