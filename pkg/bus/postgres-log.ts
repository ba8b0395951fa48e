import { LANE_COUNT, laneOf } from '../kernel/lanes.js';
import type { RoleName } from '../kernel/roles.js';
import type { Database, Sql } from '../postgres/port.js';
import type { Delivery, Lag } from './port.js';

/** The log's statements: cursors, reading, trimming, lag. */

/** A message with its place in the log. */
export interface LogEntry {
  readonly lane: number;
  readonly position: number;
  readonly delivery: Delivery;
}

const CURSORS_LOCK = laneOf('fairtally.bus', 'cursors', 0x7fffffff);

/**
 * Makes a role's cursors when it subscribes for the first time: before the first message that still stands. Kept apart
 * from trimming by a lock, so that nothing is trimmed between the look and the cursor.
 */
export async function ensureCursors(db: Database, role: RoleName): Promise<void> {
  const [known] = await db.query<{ lanes: number }>(
    'SELECT count(*) AS lanes FROM bus_cursors WHERE role = $1',
    [role],
  );
  if (known?.lanes === LANE_COUNT) return;
  await db.transaction(async (sql) => {
    await sql.query('SELECT pg_advisory_xact_lock($1)', [CURSORS_LOCK]);
    await sql.query(
      `INSERT INTO bus_cursors (role, lane, position)
       SELECT $1, l.lane, coalesce(
                (SELECT e.position - 1 FROM bus_events e WHERE e.lane = l.lane ORDER BY e.position LIMIT 1),
                l.next_position - 1)
         FROM bus_lanes l ORDER BY l.lane
       ON CONFLICT DO NOTHING`,
      [role],
    );
  });
}

/**
 * An equal share of the batch for every lane that has something; what the short lanes leave goes to the long ones.
 * Positions have no gaps, so a range of positions is a number of rows.
 */
const READ = `
  WITH waiting AS (
    SELECT c.lane, c.position, l.next_position - 1 - c.position AS waiting,
           greatest(1, $3::bigint / count(*) OVER ()) AS share
      FROM bus_cursors c JOIN bus_lanes l USING (lane)
     WHERE c.role = $1 AND c.lane = ANY ($2::smallint[]) AND l.next_position - 1 > c.position
  ), shares AS (
    SELECT lane, position,
           least(waiting, share + div(greatest(0, $3::bigint - sum(least(waiting, share)) OVER ()),
                                    greatest(1, count(*) FILTER (WHERE waiting > share) OVER ()))) AS take
      FROM waiting
  )
  SELECT e.lane, e.position, e.game_id, e.player_id, e.message_id, e.headers, e.body
    FROM shares s
   CROSS JOIN LATERAL (
     SELECT * FROM bus_events e
      WHERE e.lane = s.lane AND e.position > s.position
      ORDER BY e.position LIMIT s.take::bigint
   ) e
   ORDER BY e.lane, e.position`;

interface EventRow {
  lane: number;
  position: number;
  game_id: string;
  player_id: string;
  message_id: string;
  headers: Record<string, string> | null;
  body: string;
}

/** The next messages of some lanes after the role's cursors, at most `batchMax` (itself at least the number of lanes), in order within each lane. */
export async function readBatch(
  sql: Sql,
  role: RoleName,
  lanes: readonly number[],
  batchMax: number,
): Promise<LogEntry[]> {
  const rows = await sql.query<EventRow>(READ, [role, lanes, batchMax]);
  return rows.map((row) => ({
    lane: row.lane,
    position: row.position,
    delivery: {
      gameId: row.game_id,
      playerId: row.player_id,
      messageId: row.message_id,
      headers: row.headers ?? {},
      body: row.body,
      position: `${String(row.lane)}/${String(row.position)}`,
      attempt: 1,
    },
  }));
}

/** Per lane the last position before the first one that is not settled; lanes without any are left out. */
export function settledPositions(
  entries: readonly LogEntry[],
  settled: readonly boolean[],
): Map<number, number> {
  const positions = new Map<number, number>();
  const stopped = new Set<number>();
  for (const [i, { lane, position }] of entries.entries()) {
    if (settled[i] !== true) stopped.add(lane);
    if (!stopped.has(lane)) positions.set(lane, position);
  }
  return positions;
}

/** Cursors only go forward, whoever moves them. */
export async function moveCursors(
  sql: Sql,
  role: RoleName,
  positions: ReadonlyMap<number, number>,
): Promise<void> {
  if (positions.size === 0) return;
  await sql.query(
    `UPDATE bus_cursors c SET position = m.position
       FROM unnest($2::smallint[], $3::bigint[]) AS m (lane, position)
      WHERE c.role = $1 AND c.lane = m.lane AND c.position < m.position`,
    [role, [...positions.keys()], [...positions.values()]],
  );
}

const TRIM = `
  WITH gone AS (
  DELETE FROM bus_events WHERE ctid = ANY (ARRAY(
    SELECT head.place
      FROM (SELECT lane, min(position) AS position FROM bus_cursors GROUP BY lane) done JOIN bus_lanes l USING (lane)
     CROSS JOIN LATERAL (
       SELECT e.ctid AS place, e.published_at FROM bus_events e
        WHERE e.lane = l.lane AND e.position <= least(done.position, l.next_position - 2)
        ORDER BY e.position LIMIT $2
     ) head
     WHERE head.published_at < now() - $1 * interval '1 millisecond'))
  RETURNING 1)
  SELECT count(*) AS gone FROM gone`;

/**
 * Deletes what every role has read and what is older than `keepMs`, at most `perLane` of each lane. The newest of a lane stays: it
 * tells a rewind since when nothing is missing. Does nothing while a
 * role of `roles` has never subscribed (its copy is all there is), or while another member trims.
 *
 * @returns the messages deleted
 */
export async function trimLog(
  db: Database,
  roles: readonly RoleName[],
  keepMs: number,
  perLane: number,
): Promise<number> {
  return db.transaction(async (sql) => {
    const [state] = await sql.query<{ mine: boolean; known: number }>(
      `SELECT pg_try_advisory_xact_lock($1) AS mine,
              (SELECT count(DISTINCT role) FROM bus_cursors WHERE role = ANY ($2::text[])) AS known`,
      [CURSORS_LOCK, roles],
    );
    if (state?.mine !== true || state.known !== new Set(roles).size) return 0;
    // A plan made while the log was short is kept by the connection, and would read the whole of a long one.
    await sql.query('SET LOCAL enable_seqscan = off');
    await sql.query('SET LOCAL enable_bitmapscan = off');
    const [row] = await sql.query<{ gone: number }>(TRIM, [keepMs, perLane]);
    return row?.gone ?? 0;
  });
}

const LAG = `
  SELECT coalesce(sum(l.next_position - 1 - place.position), 0) AS waiting, min(head.published_at) AS oldest
    FROM bus_lanes l
    LEFT JOIN bus_cursors c ON c.role = $1 AND c.lane = l.lane
   CROSS JOIN LATERAL (
     SELECT coalesce(c.position, (SELECT e.position - 1 FROM bus_events e WHERE e.lane = l.lane ORDER BY e.position LIMIT 1),
                     l.next_position - 1) AS position
   ) place
    LEFT JOIN LATERAL (
     SELECT e.published_at FROM bus_events e WHERE e.lane = l.lane AND e.position > place.position ORDER BY e.position LIMIT 1
   ) head ON true`;

/** Exact. A role that never subscribed has the whole log before it. */
export async function readLag(sql: Sql, role: RoleName): Promise<Lag> {
  const [row] = await sql.query<{ waiting: number; oldest: Date | null }>(LAG, [role]);
  return { waiting: row?.waiting ?? 0, oldestPublishedAtMs: row?.oldest?.getTime() ?? null };
}

/**
 * Roles that have subscribed once and have not read everything: starting without one of them, or with another bus, would
 * leave its events behind.
 */
export async function rolesWithUnread(sql: Sql): Promise<{ role: string; waiting: number }[]> {
  return sql.query(
    `SELECT c.role, sum(l.next_position - 1 - c.position) AS waiting
       FROM bus_cursors c JOIN bus_lanes l USING (lane)
      GROUP BY c.role HAVING sum(l.next_position - 1 - c.position) > 0 ORDER BY c.role`,
  );
}
