import type { Sql } from '../../postgres/port.js';

/** When keys of a game were last used for an event, UTC ms by key id; some two minutes late. */
export async function lastUses(sql: Sql, gameId: string): Promise<ReadonlyMap<string, number>> {
  const rows = await sql.query<{ keyId: string; lastUsedMs: number }>(
    `SELECT u.key_id AS "keyId", u.last_used_ms AS "lastUsedMs" FROM key_uses u JOIN signing_keys k USING (game_id, key_id)
      WHERE u.game_id = $1`,
    [gameId],
  );
  return new Map(rows.map(({ keyId, lastUsedMs }) => [keyId, lastUsedMs]));
}

export async function hasKey(sql: Sql, gameId: string, keyId: string): Promise<boolean> {
  const rows = await sql.query('SELECT 1 FROM signing_keys WHERE game_id = $1 AND key_id = $2', [
    gameId,
    keyId,
  ]);
  return rows.length > 0;
}
