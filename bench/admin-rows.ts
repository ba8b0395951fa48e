import { createHash } from 'node:crypto';
import { entryHash, FIRST_HASH } from '../pkg/admin/audit-chain.js';
import { systemClock } from '../pkg/kernel/clock.js';
import type { Database, Sql } from '../pkg/postgres/port.js';

/** How much a game of the bench has. Everything grows with the players, but for what its regulars did. */
export interface GameSize {
  readonly gameId: string;
  readonly keyId: string;
  readonly players: number;
  /** In the archive, of the last day. */
  readonly events: number;
  /** Findings, receipts, dead letters, refusals, entries of the audit log: so many of each. */
  readonly rows: number;
}

/** Players with a long history. */
export const REGULARS = 40;
const EVENTS_OF_REGULAR = 4_000;
const SAMPLES_OF_REGULAR = 1_000;
const RECEIPTS_OF_REGULAR = 200;
const DAYS = 30;
export const FINAL_CYCLE = '2026-Q3';
/** A key that signs one event in a thousand. */
export const RARE_KEY = 'rare';

const md5 = (text: string): string => createHash('md5').update(text).digest('hex');
/** The n-th player, n from 1: ids are as random as most games' are, and all begin alike. */
export const playerOf = (n: number): string => `p-${md5(String(n)).slice(0, 14)}`;
export const receiptOf = (n: number): string => md5(`receipt ${String(n)}`).slice(0, 22);

const PLAYER = (n: string): string => `'p-' || left(md5((${n})::text), 14)`;
const MS = '(extract(epoch FROM now()) * 1000)::bigint';

/** A score that a few players share. */
const SCORE = 'bench.n::bigint * 7919 % 100003 * 10';
const REACHED = `${MS} - bench.n::bigint * 37 % 86400000`;

/** Rows straight into the tables, as if the roles had written them over a month: $1 is the game, $2 a number. */
const STATEMENTS: readonly (readonly [text: string, count: (size: GameSize) => number])[] = [
  ...['xp/all-time:all', `xp/seasonal:${FINAL_CYCLE}`].map(
    (name) =>
      [
        `INSERT INTO board_scores
         SELECT $1, '${name.split('/')[0] ?? ''}', '${name.split('/')[1] ?? ''}', '', bench.id, ${SCORE}, ${REACHED}, '', 1, 1
           FROM bench_players bench WHERE n <= $2 ORDER BY id`,
        ({ players }: GameSize) => players,
      ] as const,
  ),
  [
    `INSERT INTO leaderboard_snapshots (game_id, board, cycle, partition, subject, score, reached_at, place)
     SELECT game_id, board, cycle, partition, subject, score, reached_at, row_number() OVER (ORDER BY score DESC, reached_at, subject)
       FROM board_scores WHERE game_id = $1 AND cycle = 'seasonal:${FINAL_CYCLE}' AND $2 > 0`,
    ({ players }) => players,
  ],
  [
    `INSERT INTO board_cycles (game_id, board, cycle, partition, closes_at, final_at, definition_version)
     SELECT $1, 'xp', cycle, '', closes_at, closes_at + interval '1 day', 1
       FROM (VALUES ('all-time:all', NULL::timestamptz), ('seasonal:${FINAL_CYCLE}', '2026-10-01')) AS c (cycle, closes_at)
      WHERE $2 > 0
     UNION ALL
     SELECT $1, 'xp', 'daily:' || to_char(now() - make_interval(days => n), 'YYYY-MM-DD'), '', date_trunc('day', now()) - make_interval(days => n - 1),
            date_trunc('day', now()) - make_interval(days => n - 2), 1 FROM generate_series(2, ${String(DAYS)}) AS n
     UNION ALL
     SELECT $1, 'boss-time', 'all-time:all', 'boss-' || lpad(n::text, 4, '0'), NULL, NULL, 1 FROM generate_series(1, 500) AS n`,
    () => 1,
  ],
  [
    `WITH days AS (
       INSERT INTO board_scores
       SELECT $1, 'xp', 'daily:' || to_char(now() - make_interval(days => d), 'YYYY-MM-DD'), '', ${PLAYER('n')}, n * 10, ${MS}, '', 1, 1
         FROM generate_series(1, $2) AS n, generate_series(2, ${String(DAYS)}) AS d RETURNING *)
     INSERT INTO leaderboard_snapshots (game_id, board, cycle, partition, subject, score, reached_at, place)
     SELECT game_id, board, cycle, partition, subject, score, reached_at,
            row_number() OVER (PARTITION BY cycle ORDER BY score DESC, reached_at, subject) FROM days`,
    ({ players }) => Math.min(players, 1_000),
  ],
  [
    `INSERT INTO player_profiles SELECT $1, id, ${MS} - 8640000000, ${MS} - n % 86400000, 100 FROM bench_players WHERE n <= $2 ORDER BY id`,
    ({ players }) => players,
  ],
  [
    `INSERT INTO player_progress SELECT $1, id, n::bigint * 7919 % 100003 * 10, n % 100 + 1, 1, 1, ${MS} FROM bench_players WHERE n <= $2 ORDER BY id`,
    ({ players }) => players,
  ],
  [
    `INSERT INTO player_state (game_id, player_id, hidden, revision, changed_by)
     SELECT $1, ${PLAYER('n * 11')}, true, 1, 'bench' FROM generate_series(1, $2) AS n`,
    ({ players }) => players / 1_000,
  ],
  // The last day, as it came: one key signs nearly all of it.
  [
    `INSERT INTO events (dedupe_day, identity, game_id, player_id, event_id, type, ts_ms, received_at_ms, src, key_id, definition_version,
                         schema_version, content_hash, payload, context, archived_at)
     SELECT (at AT TIME ZONE 'UTC')::date, md5($1::text || n)::uuid, $1, ${PLAYER('n % 997 * 1009 + n % 1009')}, 'e-' || n, 'progression',
            floor(extract(epoch FROM at) * 1000), floor(extract(epoch FROM at) * 1000), 'server',
            CASE WHEN n % 1000 = 0 THEN '${RARE_KEY}' ELSE 'busy' END, 1, NULL, decode(md5(n::text), 'hex'),
            '{"deltaXp": 15, "activity": "quest"}', '{"build": "1.4.2", "platform": "pc"}', at
       FROM (SELECT n, now() - interval '24 hours' * (1 - n::float8 / $2) AS at FROM generate_series(1, $2) AS n) AS made`,
    ({ events }) => events,
  ],
  [
    `INSERT INTO events (dedupe_day, identity, game_id, player_id, event_id, type, ts_ms, received_at_ms, src, key_id, definition_version,
                         schema_version, content_hash, payload, context, archived_at)
     SELECT (at AT TIME ZONE 'UTC')::date, md5($1::text || 'r' || r || 'n' || n)::uuid, $1, ${PLAYER('r')}, 'r-' || n, 'progression',
            floor(extract(epoch FROM at) * 1000), floor(extract(epoch FROM at) * 1000), 'server', 'busy', 1, NULL,
            decode(md5(n::text), 'hex'), '{"deltaXp": 15, "activity": "quest"}', NULL, at
       FROM (SELECT r, n, now() - interval '${String(DAYS)} days' * (1 - n::float8 / ${String(EVENTS_OF_REGULAR)}) AS at
               FROM generate_series(1, $2) AS r, generate_series(1, ${String(EVENTS_OF_REGULAR)}) AS n ORDER BY 3) AS made`,
    () => REGULARS,
  ],
  [
    `INSERT INTO progress_events
     SELECT game_id, player_id, ts_ms, dedupe_day, identity, 15, 1 FROM events
      WHERE game_id = $1 AND player_id IN (SELECT ${PLAYER('r')} FROM generate_series(1, $2) AS r)`,
    () => REGULARS,
  ],
  [
    `INSERT INTO inbox (role, dedupe_day, identity, game_id, lane, content_hash, definition_version, settled_at)
     SELECT role, dedupe_day, identity, game_id, 1, content_hash, 1, archived_at FROM events, unnest('{archive,progression,leaderboard,fairness}'::text[]) AS role
      WHERE game_id = $1 AND archived_at > now() - interval '1 hour' * $2`,
    () => 1,
  ],
  [
    `INSERT INTO fairness_samples
     SELECT game_id, player_id, 'xp-gain', '', row_number() OVER (PARTITION BY player_id ORDER BY ts_ms), dedupe_day, identity, 2.7, 1
       FROM events WHERE game_id = $1 AND player_id IN (SELECT ${PLAYER('r')} FROM generate_series(1, $2) AS r)
         AND event_id IN (SELECT 'r-' || n FROM generate_series(1, ${String(SAMPLES_OF_REGULAR)}) AS n)`,
    () => REGULARS,
  ],
  [
    `INSERT INTO fairness_baselines SELECT $1, ${PLAYER('r')}, 'xp-gain', '', ${String(SAMPLES_OF_REGULAR)}, 2.7, 30, NULL FROM generate_series(1, $2) AS r`,
    () => REGULARS,
  ],
  // Each finding of a regular names a sample; the trigger opens the cases.
  [
    `INSERT INTO suspicious_events (game_id, player_id, metric, partition, dedupe_day, identity, event_id, ts_ms, value, judged, mean, deviation,
                                    z, sample_no, definition_version, found_at)
     SELECT s.game_id, s.player_id, s.metric, '', s.dedupe_day, s.identity, 'r-' || s.sample_no, ${MS}, 900, 6.8, 2.7, 0.2, 20, s.sample_no, 1,
            now() - interval '30 days' * (1 - s.sample_no::float8 / ${String(SAMPLES_OF_REGULAR)})
       FROM fairness_samples s WHERE s.game_id = $1 AND s.sample_no % $2 = 0`,
    () => 20,
  ],
  [
    `INSERT INTO suspicious_events (game_id, player_id, metric, partition, dedupe_day, identity, event_id, ts_ms, value, judged, mean, deviation,
                                    z, sample_no, definition_version, found_at)
     SELECT $1, ${PLAYER('100 + n % 900')}, CASE WHEN n % 100 = 0 THEN 'boss-speed' ELSE 'xp-gain' END, '', current_date, md5($1::text || 'f' || n)::uuid, 'f-' || n, ${MS}, 900, 6.8, 2.7,
            0.2, 20, 30, 1, now() - interval '30 days' * n / $2 FROM generate_series(1, $2) AS n`,
    ({ rows }) => rows,
  ],
  [
    `INSERT INTO receipts (game_id, player_id, grant_key, receipt_id, reward, amount, cause, ts_ms, event_id, src, kid, jws, definition_version,
                           revoked_at, revoked_by, revoked_reason)
     SELECT $1, CASE WHEN n <= ${String(REGULARS * RECEIPTS_OF_REGULAR)} THEN ${PLAYER(`n % ${String(REGULARS)} + 1`)} ELSE ${PLAYER('n % 997 + 1')} END,
            'level:' || n || ':coins', left(md5('receipt ' || n), 22), 'coins', 100, 'level:' || n || ':coins', ${MS} - n * 1000, 'e-' || n,
            'server', 'kid', repeat('x', 560), 1, CASE WHEN n % 50 = 0 THEN now() - make_interval(secs => n) END,
            CASE WHEN n % 50 = 0 THEN 'bench' END, CASE WHEN n % 50 = 0 THEN 'bench' END FROM generate_series(1, $2) AS n`,
    ({ rows }) => rows,
  ],
  [
    `INSERT INTO dead_letters (role, game_id, player_id, event_id, event_type, dedupe_day, identity, content_hash, transport_position, reason, detail,
                               attempts, body, headers, code_version, state, first_seen_at, last_seen_at)
     SELECT 'progression', $1, ${PLAYER('n % 997 + 1')}, 'd-' || n, 'progression', current_date, md5($1::text || 'd' || n)::uuid, decode(md5(n::text), 'hex'),
            n::text, CASE WHEN n % 500 = 0 THEN 'crash_loop' ELSE 'handler_error' END, 'a rule failed', 5, repeat('x', 600), '{}', '1.0.0',
            CASE WHEN n % 3 = 0 THEN 'open' ELSE 'dropped' END, at, at
       FROM (SELECT n, now() - interval '30 days' * (1 - n::float8 / $2) AS at FROM generate_series(1, $2) AS n) AS made`,
    ({ rows }) => rows,
  ],
  [
    `INSERT INTO refusals (game_id, refused_at, is_verified, key_id, player_id, event_id, type, ts_ms, src, build, platform, code, pointer, detail, snippet)
     SELECT $1, now() - interval '10 days' * (1 - n::float8 / $2), true, 'busy', ${PLAYER('n % 997 + 1')}, 'x-' || n, 'progression', ${MS}, 'server', '1.4.2',
            'pc', 'invalid_payload', '/payload/deltaXp', 'must be an integer', repeat('x', 200) FROM generate_series(1, $2) AS n`,
    ({ rows }) => rows,
  ],
];

/** Fills a game that has a definition and nothing else. What events tell is left to be counted by the service itself. */
export async function fillGame(db: Database, size: GameSize): Promise<void> {
  await db.query(
    'SELECT ensure_month((current_date - make_interval(months => n))::date) FROM generate_series(0, 2) AS n',
  );
  await db.query(
    `CREATE TABLE bench_players AS
     SELECT n, ${PLAYER('n')} AS id FROM generate_series(1, ${String(size.players)}) AS n ORDER BY 2`,
  );
  for (const [text, count] of STATEMENTS) await db.query(text, [size.gameId, count(size)]);
  await db.query('DROP TABLE bench_players');
  await writeAudit(db, size);
}

const AUDIT = `
  INSERT INTO admin_audit (game_id, seq, at_ms, actor_id, actor, action, subject, reason, details, request_id, previous_hash, hash)
  SELECT $1, seq, at_ms, NULL, actor, 'player.hide', subject, NULL, '{}', '', decode(previous, 'hex'), decode(hash, 'hex')
    FROM unnest($2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[]) AS e (seq, at_ms, actor, subject, previous, hash)`;

const AUDIT_EVERY_MS = 60_000;

/** A chain that is whole, an entry each minute up to now. One in a thousand is of another person. */
async function writeAudit(sql: Sql, { gameId, rows }: GameSize): Promise<void> {
  let previous: Buffer = FIRST_HASH;
  const columns: [number[], number[], string[], string[], string[], string[]] = [[], [], [], [], [], []];
  const nowMs = systemClock.now();
  for (let seq = 1; seq <= rows; seq += 1) {
    const actor = seq % 1_000 === 1 ? 'rare' : 'admin';
    const subject = `player ${playerOf((seq % 997) + 1)}`;
    const entry = {
      gameId,
      seq,
      atMs: nowMs - (rows - seq) * AUDIT_EVERY_MS,
      actorId: null,
      actor,
      action: 'player.hide',
      subject,
      reason: null,
    };
    const hash = entryHash(previous, { ...entry, details: {}, requestId: '' });
    columns[0].push(seq);
    columns[1].push(entry.atMs);
    columns[2].push(actor);
    columns[3].push(subject);
    columns[4].push(previous.toString('hex'));
    columns[5].push(hash.toString('hex'));
    previous = hash;
  }
  await sql.query(AUDIT, [gameId, ...columns]);
}

/** Places of a board all over its length, as cursors name them: some for every read that begins at one. */
export async function placesOf(
  db: Database,
  { gameId, players }: GameSize,
  count: number,
): Promise<readonly { readonly subject: string; readonly score: number; readonly reachedAtMs: number }[]> {
  const numbers = Array.from({ length: count }, (_, index) => ((index * 7_919 + 13) % players) + 1);
  const rows = await db.query<{ subject: string; score: number; reachedAtMs: number }>(
    `SELECT subject, score, reached_at AS "reachedAtMs" FROM board_scores
      WHERE game_id = $1 AND board = 'xp' AND cycle = 'all-time:all' AND partition = '' AND subject = ANY($2::text[])`,
    [gameId, numbers.map(playerOf)],
  );
  return rows;
}
