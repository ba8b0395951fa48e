import { createHash } from 'node:crypto';
import pg from 'pg';
import { FairtallyError, OutageError } from '../kernel/errors.js';
import type { DatabaseRole } from './database-roles.js';
import type { Database, Sql, TransactionOptions } from './port.js';

export interface DatabaseOptions {
  readonly url: string;
  /** Connections at most. */
  readonly poolSize?: number;
  /** Shown in pg_stat_activity. */
  readonly applicationName?: string;
  /** When the server ends a statement. */
  readonly statementTimeoutMs?: number;
  /** When we give a silent connection up; longer than the statement timeout, so that a server which lives answers first. */
  readonly queryTimeoutMs?: number;
  readonly lockTimeoutMs?: number;
  /** The role that every statement runs as; the URL's user must be a member of it. Unset: that user. */
  readonly role?: DatabaseRole;
  /** An idle connection that breaks is no failure of any call; it is only told here. */
  readonly onIdleError?: (error: Error) => void;
}

const CONNECT_TIMEOUT_MS = 5_000;
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 30_000;
const STATEMENT_TIMEOUT_MS = 30_000;
const QUERY_GRACE_MS = 5_000;
const KEEP_ALIVE_AFTER_MS = 10_000;

/**
 * How the server learns that our host is gone without a word: it lets the locks of such a session go within half a minute.
 * Sessions on a Unix socket ignore these settings.
 */
export const SERVER_KEEPS_ALIVE =
  '-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3 -c tcp_user_timeout=30000';

/**
 * The URL of sessions that act as a role and let go of a silent host. It stands in the URL because `pg` takes what is there
 * before all else: settings of the URL's own stay, and come first, so that none of them undoes ours. Given at the start of a
 * session the role costs no statement, and RESET ROLE comes back to it.
 */
export function withSession(url: string, role?: DatabaseRole): string {
  const [place = '', query = ''] = url.split(/\?(.*)/s);
  const parameters = new URLSearchParams(query);
  const own = parameters.get('options');
  const settings = [own, SERVER_KEEPS_ALIVE, role === undefined ? null : `-c role=${role}`];
  parameters.set('options', settings.filter((one) => one !== null).join(' '));
  return `${place}?${parameters.toString()}`;
}

/** The client heard nothing in time (the message is that of `pg`): the connection is not usable, whatever became of the query. */
const isReadTimeout = (error: unknown): boolean =>
  error instanceof OutageError
    ? isReadTimeout(error.cause)
    : error instanceof Error && error.message === 'Query read timeout';

/** All that values can cause: data exceptions, constraints, limits (SQLSTATE classes 22, 23 and 54). */
const STATES_OF_VALUES = /^(22|23|54)...$/;
const TRANSIENT_STATES = new Set(['40001', '40P01', '55P03']);
const QUERY_CANCELED = '57014';
const DISK_FULL = '53100';
/** What `pg` says without a code. */
const OUTAGE_MESSAGES =
  /Connection terminated|timeout exceeded when trying to connect|timeout expired|Query read timeout|connection error|Cannot use a pool after calling end|client was closed|not queryable|server does not support SSL|establishing an SSL connection|SASL/i;

/** Whether the same transaction can succeed when run again: serialization failure, deadlock, lock timeout. */
export const isTransient = (error: unknown): boolean => TRANSIENT_STATES.has(codeOf(error));

/** Whether a statement ran longer than it may, by its values or by a slow server: an OutageError that a smaller batch may avoid. */
export const isStatementTimeout = (error: unknown): boolean =>
  error instanceof OutageError && codeOf(error.cause) === QUERY_CANCELED;

const codeOf = (error: unknown): string =>
  typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string'
    ? error.code
    : '';

/**
 * An error of `pg` as callers see it. What the values of a statement cause stays as it is, and what is transient; all else
 * (the network, TLS, a password, a missing table, a full disk) is the server's, and lasts until somebody mends it.
 */
function toKernelError(error: unknown): unknown {
  if (error instanceof FairtallyError || isTransient(error)) return error;
  const code = codeOf(error);
  const message = error instanceof Error ? error.message : '';
  if (STATES_OF_VALUES.test(code)) return error;
  if (error instanceof pg.DatabaseError) {
    const why = code === DISK_FULL ? 'storage_full' : 'dependency_unavailable';
    return new OutageError(`PostgreSQL (${code}: ${message})`, error, why);
  }
  const isMistake = error instanceof TypeError || error instanceof RangeError; // Node gives these a code too
  const isOutage = (code !== '' && !isMistake) || OUTAGE_MESSAGES.test(message);
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

function openPool(options: DatabaseOptions): pg.Pool {
  const statementTimeoutMs = options.statementTimeoutMs ?? STATEMENT_TIMEOUT_MS;
  const pool = new pg.Pool({
    connectionString: withSession(options.url, options.role),
    max: options.poolSize ?? 10,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_TIMEOUT_MS,
    statement_timeout: statementTimeoutMs,
    query_timeout: options.queryTimeoutMs ?? statementTimeoutMs + QUERY_GRACE_MS,
    lock_timeout: options.lockTimeoutMs ?? 10_000,
    application_name: options.applicationName ?? 'fairtally',
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_AFTER_MS,
  });
  // Without this listener an idle connection that breaks would end the process.
  pool.on('error', (error) => options.onIdleError?.(error));
  return pool;
}

/** A pool of connections to a PostgreSQL 14 or newer. Connects on first use. */
export function createDatabase(options: DatabaseOptions): Database {
  let pool = openPool(options);
  let closing: Promise<void> | null = null;

  /** When one connection went silent its idle neighbours most likely did: each would cost a query timeout of its own. */
  const withPool = async <T>(work: (pool: pg.Pool) => Promise<T>): Promise<T> => {
    const used = pool;
    try {
      return await work(used);
    } catch (error) {
      if (isReadTimeout(error) && used === pool && closing === null) {
        pool = openPool(options);
        used.end().catch((endError: unknown) => options.onIdleError?.(endError as Error));
      }
      throw error;
    }
  };

  return {
    query: (text, values = []) => withPool((current) => run(current, text, values)),
    transaction: (work, transactionOptions = {}) =>
      withPool(async (current) => inTransaction(await connect(current), work, transactionOptions)),
    close: () => (closing ??= pool.end()),
  };
}

async function connect(pool: pg.Pool): Promise<pg.PoolClient> {
  try {
    return await pool.connect();
  } catch (error) {
    throw toKernelError(error);
  }
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
    broken = isReadTimeout(error) ? (error as Error) : await rollback(client);
    const thrown = toKernelError(error);
    // What stands in the connection (a plan of a table that changed, a server that turned read-only) must not stay.
    if (thrown instanceof OutageError) broken ??= thrown;
    throw thrown;
  } finally {
    client.off('error', ignore);
    client.release(broken);
  }
}

/** What a connection that cannot even roll back is broken by. */
async function rollback(client: pg.PoolClient): Promise<Error | undefined> {
  try {
    await client.query('ROLLBACK');
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error('rollback failed');
  }
}
