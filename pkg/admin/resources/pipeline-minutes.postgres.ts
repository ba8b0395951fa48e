import type { Clock } from '../../kernel/clock.js';
import type { Database, Sql } from '../../postgres/port.js';
import type { Logger } from '../../runtime/port.js';

/** A minute is counted when the transactions that began in it have ended; one that takes longer is missing in the picture. */
const SETTLED_AFTER = '60 seconds';
const FIRST_LOOK_BACK = '24 hours';
const MINUTES_AT_ONCE = 60;
const KEPT = '8 days';
const EVERY_MS = 20_000;

const BEGIN = `
  INSERT INTO pipeline_rolled_up (through) VALUES (date_trunc('minute', now()) - interval '${FIRST_LOOK_BACK}')
  ON CONFLICT DO NOTHING`;

/** Nobody else counts at the same time. */
const NEXT = `
  SELECT through, least(date_trunc('minute', now() - interval '${SETTLED_AFTER}'),
                        through + interval '${String(MINUTES_AT_ONCE)} minutes') AS until
    FROM pipeline_rolled_up FOR UPDATE SKIP LOCKED`;

/** Keys of sessions begin so. They live for a day, no list shows them, and there are as many as players come. */
const SESSION_KEYS = 'ps1.%';

/** One pass over what was archived in those minutes, which a BRIN index finds. */
const COUNT = `
  WITH counted AS (
    SELECT game_id, key_id, date_trunc('minute', archived_at) AS minute, count(*) AS accepted,
           max(extract(epoch FROM archived_at) * 1000 - received_at_ms) AS delay_ms, max(received_at_ms) AS used_ms
      FROM events WHERE archived_at >= $1 AND archived_at < $2 GROUP BY 1, 2, 3
  ), minutes AS (
    INSERT INTO pipeline_minutes (game_id, minute, accepted, max_delay_ms)
    SELECT game_id, minute, sum(accepted), greatest(0, max(delay_ms))::bigint FROM counted GROUP BY 1, 2
    ON CONFLICT DO NOTHING
  )
  INSERT INTO key_uses AS k (game_id, key_id, last_used_ms)
  SELECT game_id, key_id, max(used_ms) FROM counted WHERE key_id NOT LIKE '${SESSION_KEYS}' GROUP BY 1, 2 ORDER BY 1, 2
  ON CONFLICT (game_id, key_id) DO UPDATE SET last_used_ms = greatest(k.last_used_ms, excluded.last_used_ms)`;

const FORGET = `DELETE FROM pipeline_minutes WHERE minute < now() - interval '${KEPT}'`;

/**
 * Counts the minutes that have passed, an hour of them at most. `db` sees all games.
 *
 * @returns whether minutes are left
 */
export const rollUpMinutes = (db: Database): Promise<boolean> =>
  db.transaction(async (sql) => {
    await sql.query(BEGIN);
    const [next] = await sql.query<{ through: Date; until: Date }>(NEXT);
    if (next === undefined || next.until <= next.through) return false;
    await sql.query(COUNT, [next.through, next.until]);
    await sql.query('UPDATE pipeline_rolled_up SET through = $1', [next.until]);
    if (next.until.getUTCMinutes() === 0) await sql.query(FORGET);
    return next.until.getTime() - next.through.getTime() >= MINUTES_AT_ONCE * 60_000;
  });

/** Counts each minute as it passes, until `signal` aborts. Several processes may: one of them does it. */
export async function keepMinutes(
  { db, clock, log }: { readonly db: Database; readonly clock: Clock; readonly log: Logger },
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      while (!signal.aborted && (await rollUpMinutes(db)));
    } catch (error) {
      log.warn({ err: error }, 'the minutes of the pipeline could not be counted');
    }
    await clock.sleep(EVERY_MS, signal);
  }
}

/** What a game's events were in a step of time. */
export interface StepCount {
  /** UTC ms of its beginning. */
  readonly atMs: number;
  readonly accepted: number;
  readonly maxDelayMs: number;
}

/**
 * Since when nothing is counted by the minute yet; when nobody counts, five minutes at most. Asked by itself, because the
 * planner finds the last minutes of a month by their index only where it is told the time.
 */
const TAIL_BEGINS = `
  SELECT greatest(now() - interval '5 minutes', (SELECT through FROM pipeline_rolled_up)) AS since`;

async function tailBegins(sql: Sql): Promise<Date> {
  const [row] = await sql.query<{ since: Date }>(TAIL_BEGINS);
  if (row === undefined) throw new Error('a query without a table gives one row');
  return row.since;
}

const STEPS = `
  SELECT floor(extract(epoch FROM minute) / $3)::bigint * $3 * 1000 AS "atMs", sum(accepted)::bigint AS accepted,
         max(max_delay_ms) AS "maxDelayMs"
    FROM (SELECT minute, accepted, max_delay_ms FROM pipeline_minutes
           WHERE game_id = $1 AND minute >= to_timestamp($2::float8 / 1000)
          UNION ALL
          SELECT date_trunc('minute', archived_at), count(*),
                 greatest(0, max(extract(epoch FROM archived_at) * 1000 - received_at_ms))::bigint
            FROM events WHERE game_id = $1 AND archived_at >= $4 GROUP BY 1) AS minutes
   GROUP BY 1 ORDER BY 1`;

/** Accepted events by step, of those steps in which there were any. */
export const acceptedSteps = async (
  sql: Sql,
  gameId: string,
  sinceMs: number,
  stepSeconds: number,
): Promise<StepCount[]> => sql.query<StepCount>(STEPS, [gameId, sinceMs, stepSeconds, await tailBegins(sql)]);

export interface Rate {
  readonly lastMinute: number;
  readonly lastHour: number;
  /** To the minute, where it is longer ago than the minutes that are not counted yet. */
  readonly lastEventAt: Date | null;
}

const RATE = `
  SELECT tail."lastMinute", tail.accepted + coalesce((SELECT sum(accepted) FROM pipeline_minutes
           WHERE game_id = $1 AND minute > now() - interval '60 minutes'), 0)::bigint AS "lastHour",
         coalesce(tail.latest, (SELECT max(minute) FROM pipeline_minutes WHERE game_id = $1)) AS "lastEventAt"
    FROM (SELECT count(*) AS accepted, max(archived_at) AS latest,
                 count(*) FILTER (WHERE archived_at > now() - interval '1 minute') AS "lastMinute"
            FROM events WHERE game_id = $1 AND archived_at >= $2) AS tail`;

/** How many events of a game the archive takes. */
export async function readRate(sql: Sql, gameId: string): Promise<Rate> {
  const [rate] = await sql.query<Rate>(RATE, [gameId, await tailBegins(sql)]);
  return rate ?? { lastMinute: 0, lastHour: 0, lastEventAt: null };
}
