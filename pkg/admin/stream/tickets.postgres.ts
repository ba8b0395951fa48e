import type { components } from '../../contract/admin-api.gen.js';
import type { Random } from '../../kernel/random.js';
import type { Sql } from '../../postgres/port.js';
import { hashOf, randomToken } from '../sign-in/refresh-tokens.js';

export type StreamTopic = components['schemas']['StreamTopic'];

/** What a ticket opens, and for whom. */
export interface Ticket {
  readonly gameId: string;
  readonly sessionId: string;
  readonly topics: readonly StreamTopic[];
}

const TICKET_SECONDS = 30;

/** Makes a ticket for one stream; it is kept as a hash, and good once, for half a minute of the database's time. */
export async function makeTicket(
  sql: Sql,
  { gameId, sessionId, topics }: Ticket,
  random: Pick<Random, 'bytes'>,
): Promise<{ readonly ticket: string; readonly expiresAt: Date }> {
  const ticket = randomToken(random);
  const [row] = await sql.query<{ expiresAt: Date }>(
    `INSERT INTO admin_stream_tickets (ticket_hash, game_id, session_id, topics, expires_at)
     VALUES ($1, $2, $3, $4, now() + make_interval(secs => $5)) RETURNING expires_at AS "expiresAt"`,
    [hashOf(ticket), gameId, sessionId, JSON.stringify(topics), TICKET_SECONDS],
  );
  if (row === undefined) throw new Error('a ticket was not made');
  return { ticket, expiresAt: row.expiresAt };
}

/** Uses a ticket up; null when it was used before, has run out or never was. Of several at once one gets it. */
export async function redeemTicket(sql: Sql, ticket: string): Promise<Ticket | null> {
  const [row] = await sql.query<Ticket>(
    'SELECT game_id AS "gameId", session_id AS "sessionId", topics FROM admin_redeem_ticket($1)',
    [hashOf(ticket)],
  );
  return row ?? null;
}
