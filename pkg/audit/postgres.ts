import type { RoleName } from '../kernel/roles.js';
import type { Sql } from '../postgres/port.js';
import { eventsOf, type EventRow } from './events.postgres.js';

export interface ProfileRow {
  readonly player_id: string;
  readonly first_seen_ms: number;
  readonly last_seen_ms: number;
  readonly events: number;
}

export interface ProgressRow {
  readonly player_id: string;
  readonly total_xp: number;
  readonly level: number;
  readonly definition_version: number;
  readonly updated_at_ms: number;
}

export interface LedgerRow {
  readonly player_id: string;
  readonly identity: string;
  readonly ts_ms: number;
  readonly delta_xp: number;
}

export interface ReceiptRow {
  readonly player_id: string;
  readonly grant_key: string;
  readonly receipt_id: string;
  readonly reward: string;
  readonly amount: number;
  readonly ts_ms: number;
  readonly event_id: string;
  readonly src: string;
  readonly jws: string;
}

export interface ScoreRow {
  readonly board: string;
  readonly cycle: string;
  readonly partition: string;
  readonly subject: string;
  readonly score: number;
  readonly reached_at: number;
  readonly reached_id: string;
}

export interface SeriesRow {
  readonly player_id: string;
  readonly metric: string;
  readonly partition: string;
}

export interface SampleRow extends SeriesRow {
  readonly sample_no: number;
  readonly identity: string;
  readonly value: number;
  readonly definition_version: number;
}

export interface BaselineRow extends SeriesRow {
  readonly samples: number;
  readonly mean: number;
  readonly m2: number;
}

export interface FindingRow extends SeriesRow {
  readonly sample_no: number;
  readonly identity: string;
  readonly event_id: string;
  readonly judged: number;
  readonly mean: number;
  readonly deviation: number;
  readonly z: number;
}

/** The events of some players and what archive, progression and leaderboard made of them. */
export interface EffectRows {
  readonly events: readonly EventRow[];
  readonly profiles: readonly ProfileRow[];
  readonly progress: readonly ProgressRow[];
  readonly ledger: readonly LedgerRow[];
  readonly receipts: readonly ReceiptRow[];
  readonly scores: readonly ScoreRow[];
}

/** Everything there is about some players, of one snapshot. */
export interface PlayerRows extends EffectRows {
  readonly samples: readonly SampleRow[];
  readonly baselines: readonly BaselineRow[];
  readonly findings: readonly FindingRow[];
}

/** A page of players that have archived events, in byte order: `playersMax` at most, and about `eventsMax` events. */
export async function playersPage(
  sql: Sql,
  gameId: string,
  { after, playersMax, eventsMax }: { after: string; playersMax: number; eventsMax: number },
): Promise<string[]> {
  const rows = await sql.query<{ player_id: string }>(
    `SELECT player_id FROM (
       SELECT player_id, sum(events) OVER (ORDER BY player_id) - events AS before FROM (
         SELECT player_id, events FROM player_profiles WHERE game_id = $1 AND player_id > $2 ORDER BY player_id LIMIT $3
       ) AS next
     ) AS counted WHERE before < $4 ORDER BY player_id`,
    [gameId, after, playersMax, eventsMax],
  );
  return rows.map((row) => row.player_id);
}

export async function gameExists(sql: Sql, gameId: string): Promise<boolean> {
  return (await sql.query('SELECT 1 FROM games WHERE game_id = $1', [gameId])).length > 0;
}

export async function versionsOf(sql: Sql, gameId: string): Promise<number[]> {
  const rows = await sql.query<{ version: number }>(
    'SELECT version FROM game_definitions WHERE game_id = $1',
    [gameId],
  );
  return rows.map((row) => row.version);
}

const ofPlayers = (columns: string, table: string, order = 'player_id'): string =>
  `SELECT ${columns} FROM ${table} WHERE game_id = $1 AND player_id = ANY($2) ORDER BY ${order}`;

const PROFILES = ofPlayers('player_id, first_seen_ms, last_seen_ms, events', 'player_profiles');
const PROGRESS = ofPlayers(
  'player_id, total_xp, level, definition_version, updated_at_ms',
  'player_progress',
);
const LEDGER = ofPlayers('player_id, identity, ts_ms, delta_xp', 'progress_events');
const RECEIPTS = ofPlayers(
  'player_id, grant_key, receipt_id, reward, amount, ts_ms, event_id, src, jws',
  'receipts',
);
const SAMPLES = ofPlayers(
  'player_id, metric, partition, sample_no, identity, value, definition_version',
  'fairness_samples',
  'player_id, metric, partition, sample_no',
);
const BASELINES = ofPlayers('player_id, metric, partition, samples, mean, m2', 'fairness_baselines');
const FINDINGS = ofPlayers(
  'player_id, metric, partition, sample_no, identity, event_id, judged, mean, deviation, z',
  'suspicious_events',
);
const SCORE_COLUMNS = 'board, cycle, partition, subject, score, reached_at, reached_id';

export async function effectsOfPlayers(
  sql: Sql,
  gameId: string,
  players: readonly string[],
): Promise<EffectRows> {
  const values = [gameId, players];
  return {
    events: await eventsOf(sql, gameId, players),
    profiles: await sql.query<ProfileRow>(PROFILES, values),
    progress: await sql.query<ProgressRow>(PROGRESS, values),
    ledger: await sql.query<LedgerRow>(LEDGER, values),
    receipts: await sql.query<ReceiptRow>(RECEIPTS, values),
    scores: await sql.query<ScoreRow>(
      `SELECT ${SCORE_COLUMNS} FROM board_scores WHERE game_id = $1 AND subject = ANY($2) AND subject <> '' AND (revision, score, reached_at) <> (0, 0, 0)`,
      values,
    ),
  };
}

export async function rowsOfPlayers(
  sql: Sql,
  gameId: string,
  players: readonly string[],
): Promise<PlayerRows> {
  const values = [gameId, players];
  return {
    ...(await effectsOfPlayers(sql, gameId, players)),
    samples: await sql.query<SampleRow>(SAMPLES, values),
    baselines: await sql.query<BaselineRow>(BASELINES, values),
    findings: await sql.query<FindingRow>(FINDINGS, values),
  };
}

/** Every row of some boards. */
export const scoresOfBoards = (sql: Sql, gameId: string, boards: readonly string[]): Promise<ScoreRow[]> =>
  sql.query<ScoreRow>(`SELECT ${SCORE_COLUMNS} FROM board_scores WHERE game_id = $1 AND board = ANY($2)`, [
    gameId,
    boards,
  ]);

const LISTED_MAX = 1_000;

export interface StrangerRow {
  readonly role: RoleName;
  readonly identity: string;
}

/** Identities that took effect or died in a role, and that the archive has neither in its inbox, nor in a letter, nor on their way. */
export const strangersOf = (sql: Sql, gameId: string): Promise<StrangerRow[]> =>
  sql.query<StrangerRow>(
    `SELECT o.role, o.identity FROM (
       SELECT role, dedupe_day, identity FROM inbox WHERE game_id = $1 AND role <> 'archive' AND definition_version > 0
       UNION
       SELECT role, dedupe_day, identity FROM dead_letters
        WHERE game_id = $1 AND role <> 'archive' AND state = 'open' AND identity IS NOT NULL
     ) AS o
     WHERE NOT EXISTS (SELECT FROM inbox a
                        WHERE a.role = 'archive' AND a.dedupe_day = o.dedupe_day AND a.identity = o.identity
                          AND a.definition_version > 0)
       AND NOT EXISTS (SELECT FROM resubmissions r
                        WHERE r.role = 'archive' AND r.state = 'pending' AND r.dedupe_day = o.dedupe_day AND r.identity = o.identity)
       AND NOT EXISTS (SELECT FROM dead_letters d
                        WHERE d.role = 'archive' AND d.state <> 'applied' AND d.dedupe_day = o.dedupe_day AND d.identity = o.identity)
     LIMIT $2`,
    [gameId, LISTED_MAX],
  );

const TABLES_OF_PLAYERS = {
  events: 'archive',
  player_progress: 'progression',
  progress_events: 'progression',
  receipts: 'progression',
  fairness_baselines: 'fairness',
  fairness_samples: 'fairness',
  suspicious_events: 'fairness',
} as const;

const UNPROFILED = Object.entries(TABLES_OF_PLAYERS)
  .map(
    ([table, role]) =>
      `SELECT DISTINCT '${role}' AS role, '${table}' AS "table", player_id FROM ${table} WHERE game_id = $1`,
  )
  .join(' UNION ALL ');

export interface UnprofiledRow {
  readonly role: RoleName;
  readonly table: string;
  readonly player_id: string;
}

/** Rows about players of whom the archive has no profile: no page of players shows them. */
export const unprofiledOf = (
  sql: Sql,
  gameId: string,
  playerBoards: readonly string[],
): Promise<UnprofiledRow[]> =>
  sql.query<UnprofiledRow>(
    `SELECT role, "table", player_id FROM (
       ${UNPROFILED}
       UNION ALL
       SELECT DISTINCT 'leaderboard', 'board_scores', subject FROM board_scores WHERE game_id = $1 AND board = ANY($2)
     ) AS o
     WHERE NOT EXISTS (SELECT FROM player_profiles p WHERE p.game_id = $1 AND p.player_id = o.player_id)
     LIMIT $3`,
    [gameId, playerBoards, LISTED_MAX],
  );

/** Each archived event has one inbox row and the other way round: what a page of events cannot show is a row too many here. */
export async function archiveCounts(sql: Sql, gameId: string): Promise<{ inbox: number; events: number }> {
  const [row] = await sql.query<{ inbox: number; events: number }>(
    `SELECT (SELECT count(*) FROM inbox WHERE role = 'archive' AND game_id = $1 AND definition_version > 0) AS inbox,
            (SELECT count(*) FROM events WHERE game_id = $1) AS events`,
    [gameId],
  );
  return row ?? { inbox: 0, events: 0 };
}

export interface CycleRow {
  readonly board: string;
  readonly cycle: string;
  readonly partition: string;
}

/** Cycles that have scores and no row of their own: they would never close. */
export const unknownCyclesOf = (sql: Sql, gameId: string): Promise<CycleRow[]> =>
  sql.query<CycleRow>(
    `SELECT DISTINCT board, cycle, partition FROM board_scores s
      WHERE game_id = $1 AND NOT EXISTS (
        SELECT FROM board_cycles c WHERE (c.game_id, c.board, c.cycle, c.partition) = (s.game_id, s.board, s.cycle, s.partition))
      LIMIT $2`,
    [gameId, LISTED_MAX],
  );

export interface ThawedRow extends CycleRow {
  readonly subject: string;
  readonly score: number | null;
  readonly frozen: number | null;
}

/** Rows of final cycles that no event has revised, where the snapshot and the scores are not the same. */
export const thawedOf = (sql: Sql, gameId: string): Promise<ThawedRow[]> =>
  sql.query<ThawedRow>(
    `WITH final AS (SELECT game_id, board, cycle, partition FROM board_cycles
                     WHERE game_id = $1 AND final_at IS NOT NULL AND NOT revised)
     SELECT board, cycle, partition, subject, s.score, n.score AS frozen
       FROM (SELECT * FROM board_scores JOIN final USING (game_id, board, cycle, partition)) AS s
       FULL JOIN (SELECT * FROM leaderboard_snapshots JOIN final USING (game_id, board, cycle, partition)) AS n
            USING (game_id, board, cycle, partition, subject)
      WHERE (s.score, s.reached_at) IS DISTINCT FROM (n.score, n.reached_at)
      LIMIT $2`,
    [gameId, LISTED_MAX],
  );

export interface CounterRow {
  readonly role: RoleName;
  readonly lane: number;
  readonly delivered: number;
  readonly settled: number;
  readonly applied: number;
  readonly inbox: number;
}

/** The conservation law, of all games together: delivered is what became of it, and applied is what stands in the inbox. */
export const countersOf = (sql: Sql): Promise<CounterRow[]> =>
  sql.query<CounterRow>(
    `SELECT role, lane, coalesce(delivered, 0) AS delivered,
            coalesce(applied + duplicate + conflict + dead, 0) AS settled, coalesce(applied, 0) AS applied,
            coalesce(entered, 0) AS inbox
       FROM role_counters
       FULL JOIN (SELECT role, lane, count(*) AS entered FROM inbox WHERE definition_version > 0 GROUP BY role, lane) AS i USING (role, lane)
      ORDER BY role, lane`,
  );

export interface LetterCount {
  readonly role: RoleName;
  readonly reason: string;
  readonly letters: number;
}

/** Open dead letters of a game, conflicts among them. */
export const lettersOf = (sql: Sql, gameId: string): Promise<LetterCount[]> =>
  sql.query<LetterCount>(
    `SELECT role, reason, count(*) AS letters FROM dead_letters
      WHERE state = 'open' AND game_id = $1 GROUP BY role, reason ORDER BY role, reason LIMIT $2`,
    [gameId, LISTED_MAX],
  );
