import type { RoleName } from '../../kernel/roles.js';
import type { Sql } from '../../postgres/port.js';
import type { Marks } from './port.js';
import type { Life } from './postgres-life.js';

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
    SELECT $1, $2::bigint, $6::int, CASE WHEN $5::boolean THEN $3::bigint[] ELSE '{}' END, $4::boolean
      FROM quick WHERE setting IS NOT NULL
    ON CONFLICT (role, incarnation, slot) DO UPDATE SET keys = excluded.keys, is_alone = excluded.is_alone, taken_at = now()
  ), others AS MATERIALIZED (
    SELECT incarnation FROM batches_in_hand WHERE role = $1 AND incarnation <> $2::bigint
  )
  SELECT d.has_dead, s.key, s.crashes
    FROM (SELECT EXISTS (SELECT 1 FROM others WHERE ${IS_DEAD}) AS has_dead) d
    LEFT JOIN (SELECT key::text, cardinality(crashes) AS crashes FROM crash_suspects
                WHERE role = $1 AND key = ANY ($3::bigint[])) s ON true`;

/** What the dead had in hand becomes suspect; what ran alone counts as a crash of that event. In key order: others do it too. */
const INQUEST = `
  WITH ${QUICK}, others AS MATERIALIZED (
    SELECT incarnation FROM batches_in_hand, quick WHERE role = $1 AND incarnation <> $2::bigint AND setting IS NOT NULL
  ), gone AS (
    DELETE FROM batches_in_hand
     WHERE role = $1 AND incarnation IN (SELECT incarnation FROM others WHERE ${IS_DEAD})
    RETURNING incarnation, keys, is_alone
  )
  INSERT INTO crash_suspects AS c (role, key, crashes)
  SELECT $1, key, coalesce(array_agg(DISTINCT incarnation) FILTER (WHERE is_alone), '{}')
    FROM gone, unnest(keys) AS key GROUP BY key ORDER BY key
  ON CONFLICT (role, key) DO UPDATE
    SET crashes = ARRAY(SELECT DISTINCT unnest(c.crashes || excluded.crashes)), since = now()`;

const PUT_DOWN = `
  WITH ${QUICK}, mark AS (
    UPDATE batches_in_hand SET keys = '{}', is_alone = false FROM quick
     WHERE role = $1 AND incarnation = $2::bigint AND slot = $4::int AND setting IS NOT NULL
  )
  DELETE FROM crash_suspects WHERE role = $1 AND key = $3::bigint`;

/**
 * What never came again: it was settled by the process that died, or belongs to a role that nobody runs any more. A
 * suspicion forgotten too early costs one more crash.
 */
const FORGET = `
  WITH marks AS (
    DELETE FROM batches_in_hand WHERE (role, incarnation, slot) IN (
      SELECT role, incarnation, slot FROM batches_in_hand WHERE taken_at < now() - interval '1 day' AND ${IS_DEAD}
         FOR UPDATE SKIP LOCKED)
  )
  DELETE FROM crash_suspects WHERE (role, key) IN (
    SELECT role, key FROM crash_suspects
     WHERE since < now() - CASE WHEN crashes = '{}' THEN interval '1 hour' ELSE interval '1 day' END
       FOR UPDATE SKIP LOCKED)`;

interface TakenRow {
  readonly has_dead: boolean;
  readonly key: string | null;
  readonly crashes: number | null;
}

/** @param life of this process: while its lock is lost nothing is written down, for the others would take it for left behind. */
export function createMarks(db: Sql, life: Pick<Life, 'incarnation' | 'isHeld'>): Marks {
  const { incarnation } = life;
  let isClosed = false;
  const take: Marks['take'] = async (role: RoleName, slot, keys, isAlone) => {
    if (isClosed) return new Map();
    const values = [role, incarnation, `{${keys.join(',')}}`, isAlone, life.isHeld, slot];
    let rows = await db.query<TakenRow>(TAKE, values);
    if (rows[0]?.has_dead === true) {
      await db.query(INQUEST, [role, incarnation]);
      await db.query(FORGET);
      rows = await db.query<TakenRow>(TAKE, values);
    }
    return new Map(rows.flatMap(({ key, crashes }) => (key === null ? [] : [[key, crashes ?? 0]])));
  };
  return {
    take,
    putDown: async (role, slot, cleared) => {
      await db.query(PUT_DOWN, [role, incarnation, cleared, slot]);
    },
    lastTaken: async (role) => {
      const [row] = await db.query<{ taken: string | null }>(
        'SELECT max(taken_at)::text AS taken FROM batches_in_hand WHERE role = $1',
        [role],
      );
      return row?.taken ?? null;
    },
    close: async () => {
      isClosed = true;
      await db.query('DELETE FROM batches_in_hand WHERE incarnation = $1::bigint', [incarnation]);
    },
  };
}
