import type { DefinitionSource } from '../games/port.js';
import type { Sql } from '../postgres/port.js';
import { checkLimit, pageOf, readCursor, type CursorPart } from '../contract/keyset-page.js';
import type { Progress, ProgressionReads, ReceiptItem, XpEntry } from './port.js';

interface ProgressRow {
  readonly totalXp: number;
  readonly level: number;
  readonly definitionVersion: number;
}

const PROGRESS = `
  SELECT total_xp AS "totalXp", level, definition_version AS "definitionVersion"
    FROM player_progress WHERE game_id = $1 AND player_id = $2`;

const RECEIPT_COLUMNS = `
  receipt_id AS "receiptId", jws, player_id AS "playerId", reward, amount, cause, ts_ms AS "tsMs",
  revoked_at AS "revokedAt"`;

interface ReceiptRow extends Omit<ReceiptItem, 'revokedAtMs'> {
  readonly revokedAt: Date | null;
}

const RECEIPTS = `
  SELECT ${RECEIPT_COLUMNS} FROM receipts
   WHERE game_id = $1 AND player_id = $2 AND ($3::bigint IS NULL OR (ts_ms, grant_key) > ($3, $4))
   ORDER BY ts_ms, grant_key LIMIT $5`;

const RECEIPT = `SELECT ${RECEIPT_COLUMNS} FROM receipts WHERE game_id = $1 AND receipt_id = $2`;

/** The cursor holds whole microseconds: a Date has only milliseconds. */
const REVOKED = `
  SELECT receipt_id AS "receiptId", revoked_at AS "revokedAt",
         (extract(epoch FROM revoked_at) * 1000000)::bigint AS "revokedAtUs"
    FROM receipts
   WHERE game_id = $1 AND revoked_at IS NOT NULL
     AND ($2::bigint IS NULL
          OR (revoked_at, receipt_id) > (timestamptz 'epoch' + $2::bigint * interval '1 microsecond', $3))
   ORDER BY revoked_at, receipt_id LIMIT $4`;

interface RevokedRow {
  readonly receiptId: string;
  readonly revokedAt: Date;
  readonly revokedAtUs: number;
}

const XP_HISTORY = `
  SELECT ts_ms AS "tsMs", delta_xp AS "deltaXp", replace(identity::text, '-', '') AS identity,
         definition_version AS "definitionVersion"
    FROM progress_events
   WHERE game_id = $1 AND player_id = $2 AND ($3::bigint IS NULL OR (ts_ms, identity) < ($3, $4::uuid))
   ORDER BY ts_ms DESC, identity DESC LIMIT $5`;

const isTsMs: CursorPart = (text) => /^-?\d{1,15}$/.test(text);
const isIdentity: CursorPart = (text) => /^[0-9a-f]{32}$/.test(text);
const isMicroseconds: CursorPart = (text) => /^\d{1,16}$/.test(text);
const isReceiptId: CursorPart = (text) => /^[A-Za-z0-9_-]{22}$/.test(text);
const isGrantKey: CursorPart = (text) => /^[^\0\p{Surrogate}]{1,512}$/u.test(text);

/** Reads of progress, receipts and XP history. */
export function createProgressionReads(
  sql: Sql,
  definitions: Pick<DefinitionSource, 'version'>,
): ProgressionReads {
  return {
    progress: async (gameId, playerId) => {
      const [row] = await sql.query<ProgressRow>(PROGRESS, [gameId, playerId]);
      return row === undefined ? null : progressOf(gameId, playerId, row, definitions);
    },
    receipts: async (gameId, playerId, page) => {
      checkLimit(page);
      const [tsMs, grantKey] = readCursor(page.cursor, [isTsMs, isGrantKey]) ?? [null, null];
      const rows = await sql.query<ReceiptRow>(RECEIPTS, [gameId, playerId, tsMs, grantKey, page.limit + 1]);
      return pageOf(rows, page.limit, (row) => [String(row.tsMs), row.cause], receiptItem);
    },
    receipt: async (gameId, receiptId) => {
      const [row] = await sql.query<ReceiptRow>(RECEIPT, [gameId, receiptId]);
      return row === undefined ? null : receiptItem(row);
    },
    revoked: async (gameId, page) => {
      checkLimit(page);
      const [revokedAtUs, receiptId] = readCursor(page.cursor, [isMicroseconds, isReceiptId]) ?? [null, null];
      const rows = await sql.query<RevokedRow>(REVOKED, [gameId, revokedAtUs, receiptId, page.limit + 1]);
      return pageOf(
        rows,
        page.limit,
        (row) => [String(row.revokedAtUs), row.receiptId],
        (row) => ({ receiptId: row.receiptId, revokedAtMs: row.revokedAt.getTime() }),
      );
    },
    xpHistory: async (gameId, playerId, page) => {
      checkLimit(page);
      const [tsMs, identity] = readCursor(page.cursor, [isTsMs, isIdentity]) ?? [null, null];
      const rows = await sql.query<XpEntry>(XP_HISTORY, [gameId, playerId, tsMs, identity, page.limit + 1]);
      return pageOf(
        rows,
        page.limit,
        (row) => [String(row.tsMs), row.identity],
        (row) => row,
      );
    },
  };
}

async function progressOf(
  gameId: string,
  playerId: string,
  { totalXp, level, definitionVersion }: ProgressRow,
  definitions: Pick<DefinitionSource, 'version'>,
): Promise<Progress> {
  const { levels } = await definitions.version(gameId, definitionVersion);
  return {
    playerId,
    totalXp,
    level,
    levelStartsAtXp: levels?.xpFor(level) ?? 0,
    nextLevelAtXp: levels === null || level >= levels.maxLevel ? null : levels.xpFor(level + 1),
    definitionVersion,
  };
}

const receiptItem = ({ revokedAt, ...item }: ReceiptRow): ReceiptItem => ({
  ...item,
  revokedAtMs: revokedAt?.getTime() ?? null,
});

/** For checking a receipt: whether it stands revoked. One that is not in the store is not. */
export async function isReceiptRevoked(sql: Sql, gameId: string, receiptId: string): Promise<boolean> {
  const rows = await sql.query(
    'SELECT 1 FROM receipts WHERE game_id = $1 AND receipt_id = $2 AND revoked_at IS NOT NULL',
    [gameId, receiptId],
  );
  return rows.length > 0;
}
