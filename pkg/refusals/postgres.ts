import type { Database, Sql } from '../postgres/port.js';
import type { MinuteCount, RefusalStore, ToldRefusal } from './port.js';

/** Rows that a game keeps; what bears no right signature has a share of its own. */
export const KEPT = { verified: 10_000, unverified: 1_000 };
const KEPT_DAYS = 14;
const FORGET_AT_ONCE = 5_000;
const LOCK = "hashtext('fairtally.refusals')";

/** Longer texts are cut: none of them is one that we gave. */
const TEXT_MAX = 4_096;

/** One statement, so that there is all of it or nothing. Counts are locked in key order. */
const WRITE = `
  WITH told AS (
    INSERT INTO refusals (game_id, refused_at, is_verified, key_id, player_id, event_id, type, ts_ms, src, build, platform, code,
                          pointer, detail, snippet)
    SELECT game_id, to_timestamp(at_ms / 1000), is_verified, key_id, player_id, event_id, type, ts_ms, src, build, platform, code,
           pointer, detail, snippet
      FROM unnest($1::text[], $2::float8[], $3::boolean[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[],
                  $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[])
        WITH ORDINALITY AS t (game_id, at_ms, is_verified, key_id, player_id, event_id, type, ts_ms, src, build, platform, code,
                              pointer, detail, snippet, n)
     ORDER BY at_ms, n
  )
  INSERT INTO refusal_minutes AS m (game_id, minute, code, build, events)
  SELECT game_id, to_timestamp(minute_ms / 1000), code, build, events
    FROM unnest($16::text[], $17::float8[], $18::text[], $19::text[], $20::bigint[])
      AS c (game_id, minute_ms, code, build, events)
   ORDER BY game_id COLLATE "C", minute_ms, code COLLATE "C", build COLLATE "C"
  ON CONFLICT (game_id, minute, code, build) DO UPDATE SET events = m.events + excluded.events`;

const TRIM = `
  DELETE FROM refusals r
   USING (SELECT g.game_id, s.is_verified,
                 (SELECT x.refusal_id FROM refusals x WHERE x.game_id = g.game_id AND x.is_verified = s.is_verified
                   ORDER BY x.refusal_id DESC OFFSET s.kept LIMIT 1) AS through
            FROM unnest($1::text[]) AS g (game_id)
           CROSS JOIN (VALUES (true, ${String(KEPT.verified)}), (false, ${String(KEPT.unverified)})) AS s (is_verified, kept)) AS old
   WHERE r.game_id = old.game_id AND r.is_verified = old.is_verified AND r.refusal_id <= old.through`;

const FORGET = `
  DELETE FROM refusals WHERE refusal_id IN (
    SELECT refusal_id FROM refusals WHERE refused_at < now() - interval '${String(KEPT_DAYS)} days'
     ORDER BY refused_at LIMIT ${String(FORGET_AT_ONCE)}) RETURNING 1`;
const FORGET_MINUTES = `
  DELETE FROM refusal_minutes WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM refusal_minutes WHERE minute < now() - interval '${String(KEPT_DAYS)} days'
     ORDER BY minute LIMIT ${String(FORGET_AT_ONCE)})) RETURNING 1`;

/** Refusals in their tables (migration 0006). `db` sees all games. */
export const createRefusalStore = (db: Database): RefusalStore => ({
  write: async (refusals, counts) => {
    await db.query(WRITE, [...refusalColumns(refusals), ...countColumns(counts)]);
  },
  trim: (gameIds) =>
    alone(db, async (sql) => {
      await sql.query(TRIM, [gameIds]);
    }),
  forgetOld: async () => {
    await forget(db, FORGET);
    await forget(db, FORGET_MINUTES);
  },
});

async function forget(db: Database, statement: string): Promise<void> {
  for (let deleted = FORGET_AT_ONCE; deleted === FORGET_AT_ONCE;) {
    deleted = 0;
    await alone(db, async (sql) => {
      deleted = (await sql.query(statement)).length;
    });
  }
}

/** Gateways that delete at once would wait for each other in a circle. */
const alone = (db: Database, work: (sql: Sql) => Promise<void>): Promise<boolean> =>
  db.transaction(async (sql) => {
    const [row] = await sql.query<{ held: boolean }>(`SELECT pg_try_advisory_xact_lock(${LOCK}) AS held`);
    if (row?.held === true) await work(sql);
    return row?.held === true;
  });

const refusalColumns = (refusals: readonly ToldRefusal[]): unknown[][] => [
  refusals.map(({ gameId }) => gameId),
  refusals.map(({ atMs }) => atMs),
  refusals.map(({ isVerified }) => isVerified),
  refusals.map(({ keyId }) => textOf(keyId)),
  refusals.map(({ playerId }) => textOf(playerId)),
  refusals.map(({ eventId }) => textOf(eventId)),
  refusals.map(({ type }) => textOf(type)),
  refusals.map(({ tsMs }) => tsMs),
  refusals.map(({ src }) => src),
  refusals.map(({ build }) => textOf(build)),
  refusals.map(({ platform }) => textOf(platform)),
  refusals.map(({ code }) => code),
  refusals.map(({ pointer }) => textOf(pointer)),
  refusals.map(({ detail }) => textOf(detail)),
  refusals.map(({ snippet }) => textOf(snippet)),
];

const countColumns = (counts: readonly MinuteCount[]): unknown[][] => [
  counts.map(({ gameId }) => gameId),
  counts.map(({ minuteMs }) => minuteMs),
  counts.map(({ code }) => code),
  counts.map(({ build }) => build),
  counts.map(({ events }) => events),
];

/** PostgreSQL keeps no U+0000 in a text: one would cost all that are written with it. */
const textOf = (text: string | null): string | null =>
  text === null ? null : text.slice(0, TEXT_MAX).replaceAll('\u0000', '\ufffd');
