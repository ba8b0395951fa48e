import type { Clock } from '../kernel/clock.js';
import type { Sql } from '../postgres/port.js';
import { entryHash, FIRST_HASH, type ChainedEntry } from './audit-chain.js';
import type { Actor, AuditEntry } from './port.js';

/**
 * Appends to a game's chain, inside the transaction of what the entries tell. The chain's end is locked until that commits:
 * changes of one game follow one another from here on.
 */
export async function appendAudit(sql: Sql, { gameId, actor, entries, clock }: AppendAudit): Promise<void> {
  await sql.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [
    `fairtally.admin_audit ${gameId}`,
  ]);
  let { seq, hash } = await endOfChain(sql, gameId);
  for (const { action, subject, reason = null, details = {} } of entries) {
    const entry: ChainedEntry = {
      gameId,
      seq: (seq += 1),
      atMs: clock.now(),
      actorId: actor.userId,
      actor: actor.name,
      action,
      subject,
      reason,
      details,
      requestId: actor.requestId,
    };
    const previous = hash;
    hash = entryHash(previous, entry);
    await sql.query(
      `INSERT INTO admin_audit (game_id, seq, at_ms, actor_id, actor, action, subject, reason, details, request_id, previous_hash, hash)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
      [
        gameId,
        entry.seq,
        entry.atMs,
        entry.actorId,
        entry.actor,
        action,
        subject,
        reason,
        JSON.stringify(details),
        entry.requestId,
        previous,
        hash,
      ],
    );
  }
}

export interface AppendAudit {
  readonly gameId: string;
  readonly actor: Actor;
  readonly entries: readonly AuditEntry[];
  readonly clock: Pick<Clock, 'now'>;
}

async function endOfChain(sql: Sql, gameId: string): Promise<{ seq: number; hash: Buffer }> {
  const [last] = await sql.query<{ seq: number; hash: Buffer }>(
    'SELECT seq, hash FROM admin_audit WHERE game_id = $1 ORDER BY seq DESC LIMIT 1',
    [gameId],
  );
  return last ?? { seq: 0, hash: FIRST_HASH };
}
