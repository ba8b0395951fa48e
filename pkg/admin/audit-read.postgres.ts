import { pageOf, readCursor, type Page, type PageRequest } from '../contract/keyset-page.js';
import type { Sql } from '../postgres/port.js';
import { entryHash, FIRST_HASH, type ChainedEntry } from './audit-chain.js';

export interface AuditFilter {
  readonly actor: string | null;
  readonly action: string | null;
  readonly subject: string | null;
  readonly sinceMs: number | null;
  readonly beforeMs: number | null;
}

interface AuditRow extends ChainedEntry {
  readonly hash: Buffer;
}

const COLUMNS = `game_id AS "gameId", seq, at_ms AS "atMs", actor_id AS "actorId", actor, action, subject, reason, details,
  request_id AS "requestId", hash`;

const isSeq = (text: string): boolean => /^[1-9]\d{0,14}$/.test(text);

/**
 * Entries stand in the order of their times, but for clocks of several processes: so many ms apart at most. So what is before an
 * instant begins where its day ends, and nothing newer is read.
 */
const CLOCKS_APART_MS = 86_400_000;

/** Newest first. @throws FairtallyError `bad_cursor` */
export async function readAudit(
  sql: Sql,
  gameId: string,
  filter: AuditFilter,
  page: PageRequest,
): Promise<Page<AuditRow>> {
  const after = readCursor(page.cursor, [isSeq, (text) => text === '']);
  const rows = await sql.query<AuditRow>(
    `SELECT ${COLUMNS} FROM admin_audit
      WHERE game_id = $1 AND seq < coalesce($2, 9007199254740991)
        AND ($3::text IS NULL OR actor = $3) AND ($4::text IS NULL OR action = $4) AND ($5::text IS NULL OR subject = $5)
        AND ($6::bigint IS NULL OR at_ms >= $6)
        AND ($7::bigint IS NULL OR at_ms < $7 AND seq <= (
          SELECT b.seq FROM admin_audit b WHERE b.game_id = $1 AND b.at_ms < $7 + ${String(CLOCKS_APART_MS)}
           ORDER BY b.at_ms DESC, b.seq DESC LIMIT 1))
      ORDER BY seq DESC LIMIT $8`,
    [
      gameId,
      after === null ? null : Number(after[0]),
      filter.actor,
      filter.action,
      filter.subject,
      filter.sinceMs,
      filter.beforeMs,
      page.limit + 1,
    ],
  );
  return pageOf(
    rows,
    page.limit,
    (row) => [String(row.seq), ''],
    (row) => row,
  );
}

/** Whether a part of a game's chain is as it was written. */
export interface Verification {
  readonly isWhole: boolean;
  /** No entry follows. */
  readonly isComplete: boolean;
  readonly checked: number;
  readonly lastSeq: number;
  readonly lastHash: Buffer | null;
  readonly brokenAtSeq: number | null;
}

const VERIFIED_MAX = 500;

/**
 * Recomputes the chain after an entry, up to 500 hashes: an entry that was changed, taken out or put in between is found.
 * That the newest were cut off shows only to who has kept a hash from before (`after`).
 */
export async function verifyAudit(
  sql: Sql,
  gameId: string,
  after: { readonly seq: number; readonly hash: Buffer } = { seq: 0, hash: FIRST_HASH },
  max = VERIFIED_MAX,
): Promise<Verification> {
  const rows = await sql.query<AuditRow & { readonly previousHash: Buffer }>(
    `SELECT ${COLUMNS}, previous_hash AS "previousHash" FROM admin_audit WHERE game_id = $1 AND seq > $2 ORDER BY seq LIMIT $3`,
    [gameId, after.seq, max + 1],
  );
  let { seq, hash } = after;
  for (const { hash: written, previousHash, ...entry } of rows.slice(0, max)) {
    const expected = entryHash(hash, entry);
    if (entry.seq !== seq + 1 || !previousHash.equals(hash) || !written.equals(expected))
      return {
        isWhole: false,
        isComplete: false,
        checked: seq - after.seq,
        lastSeq: seq,
        lastHash: hash,
        brokenAtSeq: entry.seq,
      };
    ({ seq } = entry);
    hash = written;
  }
  const isComplete = rows.length <= max;
  return {
    isWhole: true,
    isComplete,
    checked: seq - after.seq,
    lastSeq: seq,
    lastHash: seq === 0 ? null : hash,
    brokenAtSeq: null,
  };
}
