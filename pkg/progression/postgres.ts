import type { DefinitionSource, GameDefinition } from '../games/port.js';
import type { Sql } from '../postgres/port.js';
import type { RoleEvent } from '../worker/port.js';
import {
  foldProgression,
  grantRef,
  newcomer,
  playerRef,
  type Grant,
  type Player,
  type PlayerProgress,
  type ProgressionChanges,
  type ProgressionState,
} from './fold.js';

/** Rows are made in key order too: an insertion of the same key waits for the other transaction, as a lock does. */
const CREATE_ABSENT = `
  INSERT INTO player_progress (game_id, player_id, total_xp, level, definition_version, revision, updated_at_ms)
  SELECT game_id, player_id, 0, 1, 0, 0, 0
    FROM unnest($1::text[], $2::text[]) AS wanted (game_id, player_id)
   ORDER BY game_id COLLATE "C", player_id COLLATE "C"
  ON CONFLICT DO NOTHING`;

/** One JSON value instead of a row per player: the driver reads it several times faster. No number in it passes 2^53. */
const LOCK = `
  SELECT coalesce(json_agg(locked), '[]') AS players FROM (
    SELECT p.game_id AS "gameId", p.player_id AS "playerId", p.total_xp AS "totalXp", p.level,
           p.definition_version AS "definitionVersion", p.updated_at_ms AS "updatedAtMs"
      FROM player_progress AS p
      JOIN unnest($1::text[], $2::text[]) AS wanted (game_id, player_id) USING (game_id, player_id)
     ORDER BY p.game_id, p.player_id
       FOR UPDATE OF p
  ) AS locked`;

const STANDING_GRANTS = `
  SELECT r.game_id AS "gameId", r.player_id AS "playerId", r.grant_key AS "grantKey"
    FROM receipts AS r
    JOIN unnest($1::text[], $2::text[], $3::text[]) AS wanted (game_id, player_id, grant_key)
      USING (game_id, player_id, grant_key)`;

const LOCK_TRIES_MAX = 3;

export interface ProgressRow extends Player {
  readonly totalXp: number;
  readonly level: number;
  /** 0 in a row that was made a moment ago. */
  readonly definitionVersion: number;
  readonly updatedAtMs: number;
}

/**
 * Creates the absent players, locks all of them in key order, then reads which of the grants that the events could make
 * stand already. Every grant of a player is made under that player's lock, so the answer holds until the commit.
 *
 * @throws PoisonError as the fold does
 */
export async function loadProgression(
  sql: Sql,
  events: readonly RoleEvent[],
  definitions: Pick<DefinitionSource, 'version'>,
): Promise<ProgressionState> {
  const wanted = new Map<string, Player>(events.map(({ event }) => [playerRef(event), event]));
  if (wanted.size === 0) return { players: new Map(), granted: new Set() };
  const players = await withDefinitions(await lockPlayers(sql, [...wanted.values()]), events, definitions);
  const possible = foldProgression({ players, granted: new Set() }, events).grants;
  return { players, granted: await standingGrants(sql, possible) };
}

/** Creates the absent players and locks all of them, in key order. */
export async function lockPlayers(sql: Sql, players: readonly Player[]): Promise<readonly ProgressRow[]> {
  const columns = keyColumns(players);
  for (let tries = 1; ; tries += 1) {
    await sql.query(CREATE_ABSENT, columns);
    const rows = await lockStanding(sql, players);
    // A row of which no event counted may be removed (rederive.ts) while this waits for it: then it is made again.
    if (rows.length === players.length || tries === LOCK_TRIES_MAX) return rows;
  }
}

/** Locks those of the players that have a row. */
export async function lockStanding(sql: Sql, players: readonly Player[]): Promise<readonly ProgressRow[]> {
  const [locked] = await sql.query<{ players: readonly ProgressRow[] }>(LOCK, keyColumns(players));
  return locked?.players ?? [];
}

const keyColumns = (players: readonly Player[]): readonly (readonly string[])[] => [
  players.map((player) => player.gameId),
  players.map((player) => player.playerId),
];

/** A stored version is nearly always one of the batch's own; else it comes from the cache of versions. */
async function withDefinitions(
  rows: readonly ProgressRow[],
  events: readonly RoleEvent[],
  definitions: Pick<DefinitionSource, 'version'>,
): Promise<ReadonlyMap<string, PlayerProgress>> {
  const known = new Map<string, GameDefinition>(
    events.map(({ definition }) => [versionRef(definition.gameId, definition.version), definition]),
  );
  const players = new Map<string, PlayerProgress>();
  for (const { definitionVersion, ...row } of rows) {
    const ref = versionRef(row.gameId, definitionVersion);
    let definition = known.get(ref) ?? null;
    if (definition === null && definitionVersion > 0) {
      definition = await definitions.version(row.gameId, definitionVersion);
      known.set(ref, definition);
    }
    players.set(playerRef(row), definition === null ? newcomer(row) : { ...row, definition });
  }
  return players;
}

const versionRef = (gameId: string, version: number): string => `${gameId}\u0000${String(version)}`;

async function standingGrants(sql: Sql, possible: readonly Grant[]): Promise<ReadonlySet<string>> {
  if (possible.length === 0) return new Set();
  const columns = [
    ...keyColumns(possible.map((grant) => grant.event)),
    possible.map((grant) => grant.grantKey),
  ];
  const rows = await sql.query<Player & { grantKey: string }>(STANDING_GRANTS, columns);
  return new Set(rows.map((row) => grantRef(row, row.grantKey)));
}

const SAVE_PLAYERS = `
  UPDATE player_progress AS p
     SET total_xp = new.total_xp, level = new.level, definition_version = new.definition_version,
         updated_at_ms = new.updated_at_ms, revision = p.revision + 1
    FROM unnest($1::text[], $2::text[], $3::bigint[], $4::int[], $5::int[], $6::bigint[])
      AS new (game_id, player_id, total_xp, level, definition_version, updated_at_ms)
   WHERE p.game_id = new.game_id AND p.player_id = new.player_id`;

const SAVE_LEDGER = `
  INSERT INTO progress_events (game_id, player_id, ts_ms, dedupe_day, identity, delta_xp, definition_version)
  SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::date[], $5::uuid[], $6::bigint[], $7::int[])`;

/** A key that stands already is a broken promise, not a case to pass over: no ON CONFLICT. */
const SAVE_RECEIPTS = `
  INSERT INTO receipts (game_id, player_id, ts_ms, grant_key, cause, receipt_id, reward, amount, event_id, src, kid, jws,
                        definition_version)
  SELECT game_id, player_id, ts_ms, grant_key, grant_key, receipt_id, reward, amount, event_id, src, kid, jws,
         definition_version
    FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::text[],
                $9::text[], $10::text[], $11::text[], $12::int[])
      AS new (game_id, player_id, ts_ms, grant_key, receipt_id, reward, amount, event_id, src, kid, jws,
              definition_version)`;

export interface SignedGrant {
  readonly grant: Grant;
  readonly receiptId: string;
  readonly kid: string;
  readonly jws: string;
}

/** Three statements at most. The receipts are being signed while the first two run. */
export async function saveProgression(
  sql: Sql,
  { players, ledger }: Pick<ProgressionChanges, 'players' | 'ledger'>,
  signing: Promise<readonly SignedGrant[]>,
): Promise<void> {
  const counting = async (): Promise<void> => {
    if (players.size > 0) await savePlayers(sql, [...players.values()]);
    if (ledger.length > 0) await saveLedger(sql, ledger);
  };
  const [receipts] = await Promise.all([signing, counting()]);
  if (receipts.length > 0) await saveReceipts(sql, receipts);
}

export const savePlayers = (sql: Sql, players: readonly PlayerProgress[]): Promise<object[]> =>
  sql.query(SAVE_PLAYERS, [
    ...keyColumns(players),
    players.map((player) => player.totalXp),
    players.map((player) => player.level),
    players.map((player) => player.definition?.version ?? 0),
    players.map((player) => player.updatedAtMs),
  ]);

export function saveLedger(sql: Sql, ledger: ProgressionChanges['ledger']): Promise<object[]> {
  const events = ledger.map(({ event }) => event);
  return sql.query(SAVE_LEDGER, [
    ...keyColumns(events),
    events.map((event) => event.tsMs),
    events.map((event) => event.dedupeDay),
    events.map((event) => event.identity),
    ledger.map(({ deltaXp }) => deltaXp),
    events.map((event) => event.definitionVersion),
  ]);
}

export function saveReceipts(sql: Sql, receipts: readonly SignedGrant[]): Promise<object[]> {
  const events = receipts.map(({ grant }) => grant.event);
  return sql.query(SAVE_RECEIPTS, [
    ...keyColumns(events),
    events.map((event) => event.tsMs),
    receipts.map(({ grant }) => grant.grantKey),
    receipts.map(({ receiptId }) => receiptId),
    receipts.map(({ grant }) => grant.reward),
    receipts.map(({ grant }) => grant.amount),
    events.map((event) => event.id),
    events.map((event) => event.src),
    receipts.map(({ kid }) => kid),
    receipts.map(({ jws }) => jws),
    receipts.map(({ grant }) => grant.definitionVersion),
  ]);
}
