import type { Clock } from '../../kernel/clock.js';
import { OutageError } from '../../kernel/errors.js';
import type { Random } from '../../kernel/random.js';
import type { RoleName } from '../../kernel/roles.js';
import { isStatementTimeout, isTransient } from '../../postgres/database.js';
import { plainArray } from '../../postgres/plain-array.js';
import type { Sql } from '../../postgres/port.js';

/** What makes an event's effect happen once per role. Unique within one call. */
export interface InboxEntry {
  readonly dedupeDay: string;
  readonly identity: string;
  readonly gameId: string;
  readonly lane: number;
  readonly contentHash: string;
  readonly definitionVersion: number;
}

export interface Entered {
  /** Content hashes (hex) of the entries, by index, that stood there before; all others are new. */
  readonly standing: ReadonlyMap<number, string>;
  /** Whether the role has open dead letters (or redriven ones) at all: mostly it has none, and closing them can be left out. */
  readonly hasOpenLetters: boolean;
}

/** Rows are inserted in key order, so that two workers with the same events wait for each other and never in a circle. */
const ENTER = `
  WITH given AS MATERIALIZED (
    SELECT * FROM unnest($2::date[], $3::uuid[], $4::text[], $5::smallint[], $6::text[], $7::int[])
      WITH ORDINALITY AS g (dedupe_day, identity, game_id, lane, content_hash, definition_version, n)
  ), entered AS (
    INSERT INTO inbox (role, dedupe_day, identity, game_id, lane, content_hash, definition_version)
    SELECT $1, dedupe_day, identity, game_id, lane, decode(content_hash, 'hex'), definition_version
      FROM given ORDER BY dedupe_day, identity
    ON CONFLICT DO NOTHING RETURNING dedupe_day, identity
  )
  SELECT CASE WHEN (SELECT count(*) FROM entered) = (SELECT count(*) FROM given) THEN '{}' ELSE (
           SELECT array_agg((g.n - 1)::int) FILTER (WHERE e.identity IS NULL)
             FROM given g LEFT JOIN entered e USING (dedupe_day, identity)
         ) END AS standing,
         EXISTS (SELECT 1 FROM dead_letters WHERE role = $1 AND state IN ('open', 'redriven')) AS has_open_letters`;

/** A statement of its own: a row that another transaction committed while ours waited for it is visible only now. */
const LOOK = `
  SELECT g.n::int, encode(i.content_hash, 'hex') AS content_hash
    FROM unnest($2::int[], $3::date[], $4::uuid[]) AS g (n, dedupe_day, identity)
   CROSS JOIN LATERAL (
     SELECT content_hash FROM inbox
      WHERE role = $1 AND dedupe_day = g.dedupe_day AND identity = g.identity LIMIT 1
   ) i`;

/** Inserts the rows that are new and tells which were there. Two statements at most. */
export async function enterInbox(sql: Sql, role: RoleName, entries: readonly InboxEntry[]): Promise<Entered> {
  const [row] = await sql.query<{ standing: number[]; has_open_letters: boolean }>(ENTER, [
    role,
    plainArray(entries.map((entry) => entry.dedupeDay)),
    plainArray(entries.map((entry) => entry.identity)),
    entries.map((entry) => entry.gameId),
    plainArray(entries.map((entry) => entry.lane)),
    plainArray(entries.map((entry) => entry.contentHash)),
    plainArray(entries.map((entry) => entry.definitionVersion)),
  ]);
  if (row === undefined) throw new Error('the inbox gave no answer');
  const hasOpenLetters = row.has_open_letters;
  if (row.standing.length === 0) return { standing: new Map(), hasOpenLetters };
  const found = await sql.query<{ n: number; content_hash: string }>(LOOK, [
    role,
    row.standing,
    row.standing.map((n) => entries[n]?.dedupeDay),
    row.standing.map((n) => entries[n]?.identity),
  ]);
  if (found.length !== row.standing.length) throw new Error('an inbox row vanished while it was looked at');
  return { standing: new Map(found.map(({ n, content_hash }) => [n, content_hash])), hasOpenLetters };
}

export interface LaneCount {
  readonly lane: number;
  readonly applied: number;
  readonly duplicate: number;
}

/** The conservation law's counters, in lane order. Conflicts and the dead are counted with their letters. */
export async function countSettled(sql: Sql, role: RoleName, counts: readonly LaneCount[]): Promise<void> {
  await sql.query(
    `INSERT INTO role_counters AS c (role, lane, delivered, applied, duplicate)
     SELECT $1, lane, applied + duplicate, applied, duplicate
       FROM unnest($2::smallint[], $3::bigint[], $4::bigint[]) AS n (lane, applied, duplicate) ORDER BY lane
     ON CONFLICT (role, lane) DO UPDATE SET
       delivered = c.delivered + excluded.delivered,
       applied = c.applied + excluded.applied,
       duplicate = c.duplicate + excluded.duplicate`,
    [
      role,
      plainArray(counts.map(({ lane }) => lane)),
      plainArray(counts.map(({ applied }) => applied)),
      plainArray(counts.map(({ duplicate }) => duplicate)),
    ],
  );
}

/** Makes the partitions of a day's month where they are missing. */
export async function ensureMonth(sql: Sql, day: string): Promise<void> {
  await sql.query('SELECT ensure_month($1::date)', [day]);
}

const TRIES_MAX = 8;
const PAUSE_MAX_MS = 200;

export interface RetryOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly onRetry: (error: unknown) => void;
}

export { isStatementTimeout };

/**
 * Runs a transaction again after a deadlock, a serialization failure or a lock timeout, a few times, with jitter.
 *
 * @throws OutageError after that: who holds the lock is to blame, not the events that want it
 */
export async function retryTransient<T>(transaction: () => Promise<T>, options: RetryOptions): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await transaction();
    } catch (error) {
      if (!isTransient(error)) throw error;
      if (tries >= TRIES_MAX) throw new OutageError('PostgreSQL (the rows are locked)', error);
      options.onRetry(error);
      await options.clock.sleep(options.random.unit() * Math.min(PAUSE_MAX_MS, 5 * 2 ** tries));
    }
  }
}
