import type { Clock } from '../../kernel/clock.js';
import { OutageError } from '../../kernel/errors.js';
import type { Random } from '../../kernel/random.js';
import type { RoleName } from '../../kernel/roles.js';
import { isStatementTimeout, isTransient } from '../../postgres/database.js';
import { plainArray } from '../../postgres/plain-array.js';
import type { Sql } from '../../postgres/port.js';

/** What makes an event's effect happen once per role. With its content unique within one call. */
export interface InboxEntry {
  readonly dedupeDay: string;
  readonly identity: string;
  readonly gameId: string;
  readonly lane: number;
  readonly contentHash: string;
  readonly definitionVersion: number;
}

export interface Entered {
  /**
   * Content hashes (hex) of what stands there instead, of the entries, by index, that did not enter: what took effect before, or the
   * first that died and that nobody has decided about yet. All others are new.
   */
  readonly standing: ReadonlyMap<number, string>;
  /** Whether the role has open dead letters (or redriven ones) at all: mostly it has none, and closing them can be left out. */
  readonly hasOpenLetters: boolean;
}

/**
 * The content that died in the role before all others of an identity and still waits for a decision: it alone may take effect there,
 * as it did in the other roles. One that was refused for another content is never it. The state is asked outside, so that no plan
 * looks through all open letters for each event.
 */
const firstDead = (of: string): string => `(
        SELECT (array_agg(d.content_hash ORDER BY d.id) FILTER (WHERE d.state IN ('open', 'redriven') AND d.reason <> 'event_id_conflict'))[1]
          FROM dead_letters d WHERE d.role = $1 AND d.dedupe_day = ${of}.dedupe_day AND d.identity = ${of}.identity)`;

/** Rows are inserted in key order, so that two workers with the same events wait for each other and never in a circle. */
const ENTER = `
  WITH letters AS MATERIALIZED (
    SELECT EXISTS (SELECT 1 FROM dead_letters WHERE role = $1 AND state IN ('open', 'redriven')) AS are_open
  ), given AS MATERIALIZED (
    SELECT * FROM unnest($2::date[], $3::uuid[], $4::text[], $5::smallint[], $6::text[], $7::int[])
      WITH ORDINALITY AS g (dedupe_day, identity, game_id, lane, content_hash, definition_version, n)
  ), entered AS (
    INSERT INTO inbox (role, dedupe_day, identity, game_id, lane, content_hash, definition_version)
    SELECT $1, dedupe_day, identity, game_id, lane, decode(content_hash, 'hex'), definition_version
      FROM given g
     WHERE CASE WHEN (SELECT are_open FROM letters)
                THEN coalesce(decode(g.content_hash, 'hex') = ${firstDead('g')}, true) ELSE true END
     ORDER BY dedupe_day, identity, n
    ON CONFLICT DO NOTHING RETURNING dedupe_day, identity, content_hash
  )
  SELECT CASE WHEN (SELECT count(*) FROM entered) = (SELECT count(*) FROM given) THEN '{}' ELSE (
           SELECT array_agg((g.n - 1)::int) FILTER (WHERE e.identity IS NULL)
             FROM given g LEFT JOIN entered e ON (e.dedupe_day, e.identity) = (g.dedupe_day, g.identity)
                                             AND e.content_hash = decode(g.content_hash, 'hex')
         ) END AS standing,
         (SELECT are_open FROM letters) AS has_open_letters`;

/** A statement of its own: a row that another transaction committed while ours waited for it is visible only now. */
const LOOK = `
  SELECT g.n::int, encode(coalesce((
           SELECT content_hash FROM inbox
            WHERE role = $1 AND dedupe_day = g.dedupe_day AND identity = g.identity LIMIT 1
         ), ${firstDead('g')}), 'hex') AS content_hash
    FROM unnest($2::int[], $3::date[], $4::uuid[]) AS g (n, dedupe_day, identity)`;

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
  const found = await sql.query<{ n: number; content_hash: string | null }>(LOOK, [
    role,
    row.standing,
    row.standing.map((n) => entries[n]?.dedupeDay),
    row.standing.map((n) => entries[n]?.identity),
  ]);
  const standing = new Map<number, string>();
  for (const { n, content_hash } of found) {
    // Somebody decided about a letter in between: at the next try it stands in nobody's way.
    if (content_hash === null)
      throw new Error('what stood in the way of an event vanished while it was looked at');
    standing.set(n, content_hash);
  }
  return { standing, hasOpenLetters };
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
