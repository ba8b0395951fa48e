import type { Delivery } from '../../bus/port.js';
import { PoisonError } from '../../kernel/errors.js';
import { laneOf } from '../../kernel/lanes.js';
import type { RoleName } from '../../kernel/roles.js';
import type { Sql } from '../../postgres/port.js';
import type { Metrics } from '../../runtime/port.js';
import type { AdmittedEvent } from '../../contract/event.js';
import type { DeadLetters } from '../port.js';
import { readEvent } from '../read-event.js';

export interface DeadLettersOptions {
  readonly db: Sql;
  /** Version of this build: tells which code gave up. */
  readonly codeVersion: string;
  readonly metrics?: Metrics;
}

/**
 * A letter is unique per (role, event content); what cannot be read is known by its place in the transport and its body, for
 * places come again when a bus is made anew. A letter that comes again counts as one more attempt. One that was sent round again and failed again is open again; one whose event
 * took effect, or that somebody dropped or corrected, stays closed. In the same statement the counters
 * move. The count of crashes stands (pkg/worker/crash-guard): the message may come again before it is settled, and must not
 * begin to kill anew. Who sends a letter round again sends another message, which has a new chance.
 */
const put = (uniqueness: string): string => `
  WITH letter AS (
    INSERT INTO dead_letters AS d (role, game_id, player_id, dedupe_day, identity, content_hash, transport_position,
                                   reason, detail, attempts, body, headers, code_version, event_id, event_type,
                                   state, closed_at, closed_by)
    SELECT $1, $2, $3, $4::date, $5::uuid, decode($6::text, 'hex'), $7, $8, $9, $10::int, $11, $12::jsonb, $13, $16, $17,
           CASE WHEN took_effect THEN 'applied' ELSE 'open' END,
           CASE WHEN took_effect THEN now() END, CASE WHEN took_effect THEN 'worker' END
      FROM (SELECT EXISTS (SELECT 1 FROM inbox WHERE role = $1 AND dedupe_day = $4::date AND identity = $5::uuid
                              AND content_hash = decode($6::text, 'hex') AND definition_version > 0) AS took_effect) known
    ON CONFLICT ${uniqueness} DO UPDATE SET
      attempts = d.attempts + 1, last_seen_at = now(), reason = excluded.reason, detail = excluded.detail,
      transport_position = excluded.transport_position, code_version = excluded.code_version,
      state = CASE WHEN d.state IN ('open', 'redriven') THEN excluded.state ELSE d.state END,
      closed_at = coalesce(d.closed_at, excluded.closed_at), closed_by = coalesce(d.closed_by, excluded.closed_by)
  )
  INSERT INTO role_counters AS c (role, lane, delivered, conflict, dead)
  VALUES ($1, $14::smallint, 1, $15::bigint, 1 - $15::bigint)
  ON CONFLICT (role, lane) DO UPDATE SET
    delivered = c.delivered + 1, conflict = c.conflict + excluded.conflict, dead = c.dead + excluded.dead`;
const PUT_BY_IDENTITY = put('(role, dedupe_day, identity, content_hash) WHERE identity IS NOT NULL');
const PUT_BY_BODY = put('(role, transport_position, body_hash(body)) WHERE identity IS NULL');

const APPLIED = `state = 'applied', closed_at = now(), closed_by = 'worker', closed_why = 'the event took effect'`;

/** The state is asked outside, so that no plan looks through all open letters for each event. */
const CLOSE = `
  UPDATE dead_letters SET ${APPLIED}
   WHERE id = ANY (ARRAY(
     SELECT d.id FROM unnest($2::date[], $3::uuid[], $4::text[]) AS e (dedupe_day, identity, content_hash)
      CROSS JOIN LATERAL (
        SELECT id, state FROM dead_letters
         WHERE role = $1 AND dedupe_day = e.dedupe_day AND identity = e.identity
           AND content_hash = decode(e.content_hash, 'hex') LIMIT 1
      ) d WHERE d.state IN ('open', 'redriven') ORDER BY d.id))`;

/** Longer than any transaction of a role may take. */
const LOOK_BACK = '10 minutes';
const STALE_MAX = 1_000;

const CLOSE_STALE = `
  UPDATE dead_letters SET ${APPLIED}
   WHERE state IN ('open', 'redriven') AND id = ANY (ARRAY(
     SELECT d.id FROM dead_letters d
       JOIN inbox i ON i.role = $1 AND i.dedupe_day = d.dedupe_day AND i.identity = d.identity
                   AND i.content_hash = d.content_hash AND i.definition_version > 0
      WHERE d.role = $1 AND d.state IN ('open', 'redriven') AND d.last_seen_at > now() - interval '${LOOK_BACK}'
      ORDER BY d.id LIMIT ${String(STALE_MAX)}))
  RETURNING id`;

/**
 * Closes the latest open letters of events that have taken effect. A letter that is written while another worker's
 * transaction applies the same event sees nothing of it, and that transaction nothing of the letter: nobody but who looks
 * afterwards can close it. Until then the letter is harmless: the inbox holds the event.
 *
 * @returns how many were closed
 */
export async function closeStale(sql: Sql, role: RoleName): Promise<number> {
  return (await sql.query(CLOSE_STALE, [role])).length;
}

/** The dead letters of all roles, in the table `dead_letters`. */
export function createDeadLetters(options: DeadLettersOptions): DeadLetters {
  const { db, codeVersion } = options;
  const letters = options.metrics?.counter('fairtally_dead_letters_total', 'Dead letters written', [
    'role',
    'reason',
  ]);
  const failures = options.metrics?.counter(
    'fairtally_dead_letter_failures_total',
    'Dead letters that could not be written: the role waits until each of them is',
    ['role'],
  );
  return {
    put: async (role, delivery, reason, detail) => {
      const event = readable(delivery.body);
      const values = [
        ...columns(role, delivery, event),
        reason,
        storable(detail),
        delivery.attempt,
        storable(delivery.body),
        headersText(delivery),
        codeVersion,
        laneOf(event?.gameId ?? delivery.gameId, event?.playerId ?? delivery.playerId),
        reason === 'event_id_conflict' ? 1 : 0,
        event === null ? null : storable(event.id),
        event === null ? null : storable(event.type),
      ];
      try {
        await db.query(event === null ? PUT_BY_BODY : PUT_BY_IDENTITY, values);
      } catch (error) {
        failures?.inc({ role });
        throw error;
      }
      letters?.inc({ role, reason });
    },
    closeApplied: async (transaction: Sql, role: RoleName, events) => {
      await transaction.query(CLOSE, [
        role,
        events.map((event) => event.dedupeDay),
        events.map((event) => event.identity),
        events.map((event) => event.contentHash),
      ]);
    },
  };
}

function columns(role: RoleName, delivery: Delivery, event: AdmittedEvent | null): (string | null)[] {
  if (event === null) {
    return [
      role,
      storable(delivery.gameId),
      storable(delivery.playerId),
      null,
      null,
      null,
      delivery.position,
    ];
  }
  const { gameId, playerId, dedupeDay, identity, contentHash } = event;
  return [role, gameId, playerId, dedupeDay, identity, contentHash, delivery.position];
}

function readable(body: string): AdmittedEvent | null {
  try {
    return readEvent(body);
  } catch (error) {
    if (error instanceof PoisonError) return null;
    throw error;
  }
}

const headersText = ({ headers }: Delivery): string =>
  JSON.stringify(Object.fromEntries(Object.entries(headers).map((pair) => pair.map(storable))));

/** PostgreSQL holds neither U+0000 nor lone surrogates; a letter with pictures of them is better than none. */
const storable = (text: string): string =>
  text.replaceAll('\u0000', '\u2400').replace(/\p{Surrogate}/gu, '\uFFFD');
