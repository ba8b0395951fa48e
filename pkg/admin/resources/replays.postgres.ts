import type { Sql } from '../../postgres/port.js';

export interface ReplayGame {
  readonly gameId: string;
  readonly dedupeFloor: string;
  readonly acceptancePastMs: number;
  readonly acceptanceAheadMs: number;
}

/** What bounds the time of a game's events. */
export async function gameWindow(sql: Sql, gameId: string): Promise<ReplayGame | null> {
  const [game] = await sql.query<ReplayGame>(
    `SELECT game_id AS "gameId", dedupe_floor AS "dedupeFloor", acceptance_past_days * 86400000::bigint AS "acceptancePastMs",
            acceptance_ahead_ms AS "acceptanceAheadMs" FROM games WHERE game_id = $1`,
    [gameId],
  );
  return game ?? null;
}

/** Content hashes of the events that the archive has, by identity. All hex. */
export async function archivedContents(
  sql: Sql,
  gameId: string,
  events: readonly { readonly dedupeDay: string; readonly identity: string }[],
): Promise<ReadonlyMap<string, string>> {
  const rows = await sql.query<{ identity: string; contentHash: string }>(
    `SELECT replace(i.identity::text, '-', '') AS identity, encode(i.content_hash, 'hex') AS "contentHash"
       FROM unnest($2::date[], $3::uuid[]) AS asked (dedupe_day, identity)
       JOIN inbox i ON i.role = 'archive' AND i.dedupe_day = asked.dedupe_day AND i.identity = asked.identity
      WHERE i.game_id = $1`,
    [gameId, events.map(({ dedupeDay }) => dedupeDay), events.map(({ identity }) => identity)],
  );
  return new Map(rows.map(({ identity, contentHash }) => [identity, contentHash]));
}
