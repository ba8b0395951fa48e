import type { Sql } from '../../postgres/port.js';
import type { Schemas } from './answers.js';
import type { StepEvents } from './pipeline.postgres.js';

const REASONS_MAX = 50;

const LAST_HOUR = `
  WITH counted AS (
    SELECT code, build, sum(events)::bigint AS events FROM refusal_minutes
     WHERE game_id = $1 AND minute > now() - interval '60 minutes' GROUP BY 1, 2
  )
  SELECT code, nullif(build, '') AS build, events, (SELECT sum(events)::bigint FROM counted) AS "lastHour"
    FROM counted ORDER BY events DESC, code, build LIMIT ${String(REASONS_MAX)}`;

/** What was refused in the last hour, the most frequent first; a request that was refused as a whole counts as one. */
export async function readRefusals(sql: Sql, gameId: string): Promise<Schemas['Pipeline']['refusals']> {
  const rows = await sql.query<Schemas['RefusalCount'] & { lastHour: number }>(LAST_HOUR, [gameId]);
  return {
    lastHour: rows[0]?.lastHour ?? 0,
    byReason: rows.map(({ code, build, events }) => ({ code, build, events })),
  };
}

const STEPS = `
  SELECT floor(extract(epoch FROM minute) / $3)::bigint * $3 * 1000 AS "atMs", sum(events)::bigint AS count
    FROM refusal_minutes WHERE game_id = $1 AND minute >= to_timestamp($2::float8 / 1000) GROUP BY 1 ORDER BY 1`;

/** Refused by step, of those steps in which any was. */
export const refusedSteps = (
  sql: Sql,
  gameId: string,
  sinceMs: number,
  stepSeconds: number,
): Promise<StepEvents[]> => sql.query<StepEvents>(STEPS, [gameId, sinceMs, stepSeconds]);
