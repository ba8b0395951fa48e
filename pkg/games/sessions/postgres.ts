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
  /** Forgets those whose sessions have all run out, at most 10,000 of them; answers how many. */
  dropExpired(nowMs: number): Promise<number>;
}

/** No session outlives 24 h; an hour more allows for clocks that differ. */
const OUTLIVES_MS = 25 * 3_600_000;
const MAX_LISTED = 1000;
const DROP_MAX = 10_000;

/** A revocation that says no more than one that stands is not kept. The condition on sid is what the index is for. */
const insertUnless = (column: string, known: string): string =>
  `INSERT INTO session_revocations (game_id, ${column}, issued_before, expires_at)
   SELECT $1, $2, $3, $4 WHERE NOT EXISTS (SELECT FROM session_revocations WHERE game_id = $1 AND ${known})`;
const INSERTS = {
  sid: insertUnless('sid', 'sid = $2'),
  player_id: insertUnless('player_id', 'sid IS NULL AND player_id = $2 AND issued_before >= $3'),
  key_id: insertUnless('key_id', 'sid IS NULL AND key_id = $2 AND issued_before >= $3'),
};

export function createSessionRevocationStore(database: Database): SessionRevocationStore {
  return {
    async revoke(gameId, sessions, issuedBeforeMs) {
      const [column, value] =
        'sid' in sessions
          ? ['sid', sessions.sid]
          : 'playerId' in sessions
            ? ['player_id', sessions.playerId]
            : ['key_id', sessions.keyId];
      await database.query(INSERTS[column as keyof typeof INSERTS], [
        gameId,
        value,
        new Date(issuedBeforeMs),
        new Date(issuedBeforeMs + OUTLIVES_MS),
      ]);
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
        `WITH dropped AS (DELETE FROM session_revocations WHERE id = ANY (ARRAY(
           SELECT id FROM session_revocations WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)) RETURNING 1)
         SELECT count(*) AS dropped FROM dropped`,
        [new Date(nowMs), DROP_MAX],
      );
      return rows[0]?.dropped ?? 0;
    },
  };
}
