import type { Sql } from '../postgres/port.js';
import type { Player } from './fold.js';

/** A row of the ledger with its place: under the lock of its player nobody else moves it. */
export interface StoredLedgerRow {
  readonly place: string;
  readonly identity: string;
  readonly dedupeDay: string;
  readonly tsMs: number;
  readonly deltaXp: number;
  readonly definitionVersion: number;
}

const values = ({ gameId, playerId }: Player): string[] => [gameId, playerId];

const LEDGER = `
  SELECT ctid::text AS place, identity, dedupe_day AS "dedupeDay", ts_ms AS "tsMs", delta_xp AS "deltaXp",
         definition_version AS "definitionVersion"
    FROM progress_events WHERE game_id = $1 AND player_id = $2`;

export const ledgerOf = (sql: Sql, player: Player): Promise<StoredLedgerRow[]> =>
  sql.query<StoredLedgerRow>(LEDGER, values(player));

export async function removeLedger(sql: Sql, places: readonly string[]): Promise<void> {
  if (places.length > 0) await sql.query('DELETE FROM progress_events WHERE ctid = ANY($1::tid[])', [places]);
}

export interface StandingGrant {
  readonly grantKey: string;
  readonly receiptId: string;
}

const GRANTS = `
  SELECT grant_key AS "grantKey", receipt_id AS "receiptId" FROM receipts WHERE game_id = $1 AND player_id = $2`;

/** Every grant that a player has, revoked ones too: a cause pays once. */
export const grantsOf = (sql: Sql, player: Player): Promise<StandingGrant[]> =>
  sql.query<StandingGrant>(GRANTS, values(player));

/** Removes a locked player of whom no event counted. */
export async function removePlayer(sql: Sql, player: Player): Promise<void> {
  await sql.query('DELETE FROM player_progress WHERE game_id = $1 AND player_id = $2', values(player));
}
