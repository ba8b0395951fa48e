import type { Sql } from '../postgres/port.js';
import type { RoleEvent } from '../worker/port.js';
import { playerRef, type ArchiveChanges, type ArchiveState, type Player, type Profile } from './fold.js';

/** Rows are made in key order too: an insertion of the same key waits for the other transaction, as a lock does. */
const CREATE_ABSENT = `
  INSERT INTO player_profiles (game_id, player_id, first_seen_ms, last_seen_ms, events)
  SELECT game_id, player_id, 0, 0, 0
    FROM unnest($1::text[], $2::text[]) AS wanted (game_id, player_id)
   ORDER BY game_id COLLATE "C", player_id COLLATE "C"
  ON CONFLICT DO NOTHING`;

/** One JSON value instead of a row per player: the driver reads it several times faster. No number in it passes 2^53. */
const LOCK = `
  SELECT coalesce(json_agg(locked), '[]') AS players FROM (
    SELECT p.game_id AS "gameId", p.player_id AS "playerId", p.first_seen_ms AS "firstSeenMs",
           p.last_seen_ms AS "lastSeenMs", p.events
      FROM player_profiles AS p
      JOIN unnest($1::text[], $2::text[]) AS wanted (game_id, player_id) USING (game_id, player_id)
     ORDER BY p.game_id, p.player_id
       FOR UPDATE OF p
  ) AS locked`;

/** Creates the absent profiles of the events' players, locks all of them in key order and reads them. */
export async function lockProfiles(sql: Sql, events: readonly RoleEvent[]): Promise<ArchiveState> {
  const players = new Map<string, Player>(events.map(({ event }) => [playerRef(event), event]));
  if (players.size === 0) return new Map();
  const columns = keyColumns([...players.values()]);
  await sql.query(CREATE_ABSENT, columns);
  const [locked] = await sql.query<{ players: readonly Profile[] }>(LOCK, columns);
  return new Map(locked?.players.map((profile) => [playerRef(profile), profile]));
}

const keyColumns = (players: readonly Player[]): readonly (readonly string[])[] => [
  players.map((player) => player.gameId),
  players.map((player) => player.playerId),
];

const INSERT_EVENTS = `
  INSERT INTO events (game_id, player_id, dedupe_day, identity, event_id, type, ts_ms, received_at_ms, src, key_id,
                      definition_version, schema_version, content_hash, payload, context)
  SELECT game_id, player_id, dedupe_day, identity, event_id, type, ts_ms, received_at_ms, src, key_id,
         definition_version, schema_version, decode(content_hash, 'hex'), payload::jsonb, context::jsonb
    FROM unnest($1::text[], $2::text[], $3::date[], $4::uuid[], $5::text[], $6::text[], $7::bigint[], $8::bigint[],
                $9::text[], $10::text[], $11::int[], $12::int[], $13::text[], $14::text[], $15::text[])
      AS new (game_id, player_id, dedupe_day, identity, event_id, type, ts_ms, received_at_ms, src, key_id,
              definition_version, schema_version, content_hash, payload, context)`;

const SAVE_PROFILES = `
  UPDATE player_profiles AS p
     SET first_seen_ms = new.first_seen_ms, last_seen_ms = new.last_seen_ms, events = new.events
    FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[])
      AS new (game_id, player_id, first_seen_ms, last_seen_ms, events)
   WHERE p.game_id = new.game_id AND p.player_id = new.player_id`;

/** Two statements. The partition of each event's month stands already: its inbox row is in the same month. */
export async function saveArchive(sql: Sql, { events, profiles }: ArchiveChanges): Promise<void> {
  if (events.length === 0) return;
  const rows = events.map(({ event }) => event);
  await sql.query(INSERT_EVENTS, [
    ...keyColumns(rows),
    rows.map((event) => event.dedupeDay),
    rows.map((event) => event.identity),
    rows.map((event) => event.id),
    rows.map((event) => event.type),
    rows.map((event) => event.tsMs),
    rows.map((event) => event.receivedAtMs),
    rows.map((event) => event.src),
    rows.map((event) => event.keyId),
    rows.map((event) => event.definitionVersion),
    rows.map((event) => event.schemaVersion ?? null),
    rows.map((event) => event.contentHash),
    events.map(({ payload }) => payload),
    events.map(({ context }) => context),
  ]);
  const seen = [...profiles.values()];
  await sql.query(SAVE_PROFILES, [
    ...keyColumns(seen),
    seen.map((profile) => profile.firstSeenMs),
    seen.map((profile) => profile.lastSeenMs),
    seen.map((profile) => profile.events),
  ]);
}
