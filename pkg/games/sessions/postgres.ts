import type { Database } from '../../postgres/port.js';
import type { SessionRevocation } from '../port.js';

/** Which sessions end: one, every one of a player, or every one that a signing key minted. */
export type RevokedSessions =
  { readonly sid: string } | { readonly playerId: string } | { readonly keyId: string };

/** Player sessions are computed, never stored; only their revocations are. Gateways learn of them with the key ring. */
export interface SessionRevocationStore {
  /** Ends the sessions that were issued before an instant. Saying it twice keeps one row. */
  revoke(gameId: string, sessions: RevokedSessions, issuedBeforeMs: number): Promise<void>;
  /** Those that still matter, newest first, at most 1000. */
  list(gameId: string): Promise<readonly SessionRevocation[]>;
  /** Forgets those whose sessions have all run out; answers how many. */
  dropExpired(nowMs: number): Promise<number>;
}

/** No session outlives 24 h; an hour more allows for clocks that differ. */
const OUTLIVES_MS = 25 * 3_600_000;
const MAX_LISTED = 1000;

export function createSessionRevocationStore(database: Database): SessionRevocationStore {
  return {
    async revoke(gameId, sessions, issuedBeforeMs) {
      const sid = 'sid' in sessions ? sessions.sid : null;
      const playerId = 'playerId' in sessions ? sessions.playerId : null;
      const keyId = 'keyId' in sessions ? sessions.keyId : null;
      await database.query(
        `INSERT INTO session_revocations (game_id, sid, player_id, key_id, issued_before, expires_at)
         SELECT $1, $2, $3, $4, $5, $6 WHERE NOT EXISTS (
           SELECT FROM session_revocations WHERE game_id = $1 AND sid IS NOT DISTINCT FROM $2
             AND player_id IS NOT DISTINCT FROM $3 AND key_id IS NOT DISTINCT FROM $4
             AND (issued_before >= $5 OR sid IS NOT NULL))`,
        [gameId, sid, playerId, keyId, new Date(issuedBeforeMs), new Date(issuedBeforeMs + OUTLIVES_MS)],
      );
    },
    async list(gameId) {
      const rows = await database.query<{
        sid: string | null;
        player_id: string | null;
        key_id: string | null;
        issued_before: Date;
      }>(
        `SELECT sid, player_id, key_id, issued_before FROM session_revocations
          WHERE game_id = $1 AND expires_at > now() ORDER BY id DESC LIMIT $2`,
        [gameId, MAX_LISTED],
      );
      return rows.map((row) => ({
        gameId,
        sid: row.sid,
        playerId: row.player_id,
        keyId: row.key_id,
        issuedBeforeMs: row.issued_before.getTime(),
      }));
    },
    async dropExpired(nowMs) {
      const rows = await database.query<{ dropped: number }>(
        `WITH dropped AS (DELETE FROM session_revocations WHERE expires_at <= $1 RETURNING 1)
         SELECT count(*) AS dropped FROM dropped`,
        [new Date(nowMs)],
      );
      return rows[0]?.dropped ?? 0;
    },
  };
}
