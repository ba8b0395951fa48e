import type { JsonObject } from '../contract/event.js';
import type { RoleName } from '../kernel/roles.js';
import type { Sql } from '../postgres/port.js';

/** One archived event, and the roles that hold its identity in their inbox or their open dead letters. */
export interface AuditedEventRow {
  readonly player_id: string;
  readonly event_id: string;
  readonly identity: string;
  readonly type: string;
  readonly ts_ms: number;
  readonly payload: JsonObject;
  readonly definition_version: number;
  readonly settled: readonly RoleName[] | null;
  readonly letters: readonly RoleName[] | null;
}

/** A page of players that have archived events, in byte order after `after`. */
export async function playersPage(sql: Sql, gameId: string, after: string, limit: number): Promise<string[]> {
  const rows = await sql.query<{ player_id: string }>(
    'SELECT player_id FROM player_profiles WHERE game_id = $1 AND player_id > $2 ORDER BY player_id LIMIT $3',
    [gameId, after, limit],
  );
  return rows.map((row) => row.player_id);
}

export const eventsOf = (sql: Sql, gameId: string, players: readonly string[]): Promise<AuditedEventRow[]> =>
  sql.query<AuditedEventRow>(
    `SELECT e.player_id, e.event_id, e.identity, e.type, e.ts_ms, e.payload, e.definition_version,
            (SELECT array_agg(i.role ORDER BY i.role) FROM inbox i
              WHERE i.role IN ('progression', 'leaderboard', 'fairness')
                AND i.dedupe_day = e.dedupe_day AND i.identity = e.identity AND i.content_hash = e.content_hash) AS settled,
            (SELECT array_agg(d.role ORDER BY d.role) FROM dead_letters d
              WHERE d.state = 'open' AND d.role <> 'archive'
                AND d.dedupe_day = e.dedupe_day AND d.identity = e.identity AND d.content_hash = e.content_hash) AS letters
       FROM events e WHERE e.game_id = $1 AND e.player_id = ANY($2)`,
    [gameId, players],
  );

export interface ProgressRow {
  readonly player_id: string;
  readonly total_xp: number;
  readonly level: number;
  readonly ledger: number;
}

export const progressOf = (sql: Sql, gameId: string, players: readonly string[]): Promise<ProgressRow[]> =>
  sql.query<ProgressRow>(
    `SELECT p.player_id, p.total_xp, p.level,
            coalesce((SELECT sum(l.delta_xp) FROM progress_events l WHERE l.game_id = p.game_id AND l.player_id = p.player_id), 0) AS ledger
       FROM player_progress p WHERE p.game_id = $1 AND p.player_id = ANY($2)`,
    [gameId, players],
  );

export const grantsOf = (
  sql: Sql,
  gameId: string,
  players: readonly string[],
): Promise<{ player_id: string; grant_key: string; amount: number }[]> =>
  sql.query('SELECT player_id, grant_key, amount FROM receipts WHERE game_id = $1 AND player_id = ANY($2)', [
    gameId,
    players,
  ]);

export interface ScoreRow {
  readonly board: string;
  readonly cycle: string;
  readonly partition: string;
  readonly subject: string;
  readonly score: number;
  readonly reached_at: number;
}

export const scoresOf = (
  sql: Sql,
  gameId: string,
  boards: readonly string[],
  subjects: readonly string[],
): Promise<ScoreRow[]> =>
  sql.query<ScoreRow>(
    `SELECT board, cycle, partition, subject, score, reached_at FROM board_scores
      WHERE game_id = $1 AND board = ANY($2) AND subject = ANY($3)`,
    [gameId, boards, subjects],
  );

export const scoresOfBoards = (sql: Sql, gameId: string, boards: readonly string[]): Promise<ScoreRow[]> =>
  sql.query<ScoreRow>(
    `SELECT board, cycle, partition, subject, score, reached_at FROM board_scores WHERE game_id = $1 AND board = ANY($2)`,
    [gameId, boards],
  );

/** Effects whose event the archive holds neither in its inbox nor in its open dead letters. */
export const strangersOf = (sql: Sql, gameId: string): Promise<{ role: RoleName; identity: string }[]> =>
  sql.query(
    `SELECT i.role, i.identity::text AS identity FROM inbox i
      WHERE i.game_id = $1 AND i.role <> 'archive'
        AND NOT EXISTS (SELECT FROM inbox a WHERE a.role = 'archive' AND a.dedupe_day = i.dedupe_day AND a.identity = i.identity)
        AND NOT EXISTS (SELECT FROM dead_letters d WHERE d.role = 'archive' AND d.state = 'open'
                           AND d.dedupe_day = i.dedupe_day AND d.identity = i.identity)
      LIMIT 1000`,
    [gameId],
  );

export interface SampleRow {
  readonly player_id: string;
  readonly metric: string;
  readonly partition: string;
  readonly sample_no: number;
  readonly value: number;
  readonly definition_version: number;
}

export const samplesOf = (sql: Sql, gameId: string, players: readonly string[]): Promise<SampleRow[]> =>
  sql.query<SampleRow>(
    `SELECT player_id, metric, partition, sample_no, value, definition_version FROM fairness_samples
      WHERE game_id = $1 AND player_id = ANY($2) ORDER BY player_id, metric, partition, sample_no`,
    [gameId, players],
  );

export interface FindingRow {
  readonly player_id: string;
  readonly metric: string;
  readonly partition: string;
  readonly sample_no: number;
  readonly z: number;
}

export const findingsOf = (sql: Sql, gameId: string, players: readonly string[]): Promise<FindingRow[]> =>
  sql.query<FindingRow>(
    'SELECT player_id, metric, partition, sample_no, z FROM suspicious_events WHERE game_id = $1 AND player_id = ANY($2)',
    [gameId, players],
  );

/** The conservation law per role: delivered must equal the sum of what became of it. */
export const countersOf = (sql: Sql): Promise<{ role: RoleName; delivered: number; settled: number }[]> =>
  sql.query(
    `SELECT role, sum(delivered) AS delivered, sum(applied + duplicate + conflict + dead) AS settled FROM role_counters GROUP BY role`,
  );
