import type { Sql } from '../../postgres/port.js';
import type { Marks } from './port.js';
import type { Life } from './postgres-life.js';
import { SUSPECT_AFTER } from './rules.js';

/**
 * A mark must outlive this process, not a loss of power: nobody waits for the disk. If PostgreSQL itself dies with the last
 * marks, one more crash is needed.
 */
const QUICK = "quick AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true) AS setting)";

/** Whoever can get the lock of an incarnation knows that nobody lives who holds it. It is given back with the transaction. */
const IS_DEAD = 'pg_try_advisory_xact_lock_shared(incarnation)';

const TAKE = `
  WITH ${QUICK}, mark AS (
    INSERT INTO batches_in_hand (role, incarnation, slot, keys, is_alone)
    SELECT $1, $2::bigint, $3::int, CASE WHEN $6::boolean THEN $4::bytea ELSE '' END, $5::boolean
      FROM quick WHERE setting IS NOT NULL
    ON CONFLICT (role, incarnation, slot)
    DO UPDATE SET keys = excluded.keys, is_alone = excluded.is_alone, taken_at = now()
  ), others AS MATERIALIZED (
    SELECT incarnation FROM worker_lives WHERE incarnation <> $2::bigint
  )
  SELECT EXISTS (SELECT 1 FROM others WHERE ${IS_DEAD}) AS has_dead,
         EXISTS (SELECT 1 FROM crash_suspects WHERE role = $1) AS has_suspects`;

/**
 * What the dead had in hand for any role becomes suspect; what ran alone counts as a crash of that event. Two at once wait
 * for each other at the dead one's row, and the second finds everything done.
 */
const INQUEST = `
  WITH ${QUICK}, others AS MATERIALIZED (
    SELECT incarnation FROM worker_lives, quick WHERE incarnation <> $1::bigint AND setting IS NOT NULL
  ), dead AS (
    DELETE FROM worker_lives WHERE incarnation IN (SELECT incarnation FROM others WHERE ${IS_DEAD})
    RETURNING incarnation
  ), had AS (
    DELETE FROM batches_in_hand b USING dead WHERE b.incarnation = dead.incarnation
    RETURNING b.role, b.incarnation, b.keys, b.is_alone
  )
  INSERT INTO crash_suspects AS c (role, key, deaths, crashes)
  SELECT role, encode(substr(keys, 8 * n + 1, 8), 'hex') AS key, count(DISTINCT incarnation),
         coalesce(array_agg(DISTINCT incarnation) FILTER (WHERE is_alone), '{}')
    FROM had, generate_series(0, length(keys) / 8 - 1) AS n GROUP BY role, key ORDER BY role, key
  ON CONFLICT (role, key) DO UPDATE
    SET deaths = c.deaths + excluded.deaths, since = now(),
        crashes = ARRAY(SELECT DISTINCT unnest(c.crashes || excluded.crashes))`;

const FIND = `
  SELECT key, cardinality(crashes) AS crashes FROM crash_suspects
   WHERE role = $1 AND key = ANY ($2::text[]) AND deaths >= ${String(SUSPECT_AFTER)}`;

const PUT_DOWN = `
  WITH ${QUICK}, mark AS (
    UPDATE batches_in_hand SET keys = '', is_alone = false FROM quick
     WHERE role = $1 AND incarnation = $2::bigint AND slot = $3::int AND setting IS NOT NULL
  )
  DELETE FROM crash_suspects WHERE role = $1 AND key = $4`;

/**
 * What never came again: it was settled by the process that died, or belongs to a role that nobody runs any more. A
 * suspicion forgotten too early costs one more crash.
 */
const FORGET = `
  WITH marks AS (
    DELETE FROM batches_in_hand WHERE (role, incarnation, slot) IN (
      SELECT role, incarnation, slot FROM batches_in_hand b
       WHERE NOT EXISTS (SELECT 1 FROM worker_lives l WHERE l.incarnation = b.incarnation)
         AND taken_at < now() - interval '1 hour'
         FOR UPDATE SKIP LOCKED)
  )
  DELETE FROM crash_suspects WHERE (role, key) IN (
    SELECT role, key FROM crash_suspects
     WHERE since < now() - CASE WHEN crashes = '{}' THEN interval '1 hour' ELSE interval '1 day' END
       FOR UPDATE SKIP LOCKED)`;

const CLOSE = `
  WITH marks AS (DELETE FROM batches_in_hand WHERE incarnation = $1::bigint)
  DELETE FROM worker_lives WHERE incarnation = $1::bigint`;

interface TakenRow {
  readonly has_dead: boolean;
  readonly has_suspects: boolean;
}

interface SuspectRow {
  readonly key: string;
  readonly crashes: number;
}

const NOBODY: ReadonlyMap<string, number> = new Map();

/** @param life of this process: while its lock is lost nothing is written down, for the others would take it for left behind. */
export function createMarks(db: Sql, life: Pick<Life, 'incarnation' | 'isHeld'>): Marks {
  const { incarnation } = life;
  let closed: 'told' | 'failed' | null = null;
  return {
    take: async (role, slot, keys, isAlone) => {
      if (closed !== null) return NOBODY;
      const bytes = Buffer.from(keys.join(''), 'hex');
      const [seen] = await db.query<TakenRow>(TAKE, [role, incarnation, slot, bytes, isAlone, life.isHeld]);
      if (seen === undefined) throw new Error('the marks gave no answer');
      if (seen.has_dead) {
        await db.query(INQUEST, [incarnation]);
        await db.query(FORGET);
      } else if (!seen.has_suspects) return NOBODY;
      const found = await db.query<SuspectRow>(FIND, [role, keys]);
      return new Map(found.map(({ key, crashes }) => [key, crashes]));
    },
    putDown: async (role, slot, cleared) => {
      if (closed === 'failed' && cleared === null) return;
      await db.query(PUT_DOWN, [role, incarnation, slot, cleared]);
    },
    lastTaken: async (role) => {
      const [row] = await db.query<{ taken: string | null }>(
        'SELECT max(taken_at)::text AS taken FROM batches_in_hand WHERE role = $1',
        [role],
      );
      return row?.taken ?? null;
    },
    close: async (why) => {
      closed = why;
      if (why === 'told') await db.query(CLOSE, [incarnation]);
    },
  };
}
