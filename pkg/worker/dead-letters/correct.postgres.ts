import { encodeEvent, type AdmittedEvent, type JsonObject } from '../../contract/event.js';
import { utcDayOf } from '../../contract/identity.js';
import type { DefinitionSource } from '../../games/port.js';
import { FairtallyError } from '../../kernel/errors.js';
import type { Clock } from '../../kernel/clock.js';
import type { Random } from '../../kernel/random.js';
import { ROLES, type RoleName } from '../../kernel/roles.js';
import type { Database, Sql } from '../../postgres/port.js';
import { readEvent } from '../read-event.js';
import { submitCopies } from '../resubmissions/postgres.js';
import { correctedEvent, correctionId } from './corrected-event.js';
import { barIdentities, ensureMonths, isBarred, type Bar } from './decisions.postgres.js';
import type { Decision, Letter } from './port.js';
import { readLetter, recordAction } from './queries.postgres.js';

export interface CorrectionDeps {
  readonly db: Database;
  readonly definitions: Pick<DefinitionSource, 'version'>;
  readonly clock: Pick<Clock, 'now'>;
  readonly random: Random;
}

export interface Correction {
  readonly role: RoleName;
  readonly actionId: number;
  readonly original: AdmittedEvent;
  readonly corrected: AdmittedEvent;
}

const BODY_BYTES_MAX = 64 * 1024;

const refused = (why: string): FairtallyError => new FairtallyError('correction_refused', why);

/** What the correction of a letter would be. Changes nothing. @throws FairtallyError `letter_unknown`, `correction_refused` */
export async function planCorrection(
  letterId: number,
  payload: JsonObject,
  { db, definitions, clock, random }: CorrectionDeps,
): Promise<Omit<Correction, 'actionId'>> {
  const letter = await readLetter(db, letterId);
  if (letter === null)
    throw new FairtallyError('letter_unknown', `there is no dead letter ${String(letterId)}`);
  if (letter.state !== 'open')
    throw refused(`the letter is ${letter.state}: only an open one can be corrected`);
  const original = originalOf(letter);
  const [game] = await db.query<{ dedupe_floor: string }>(
    'SELECT dedupe_floor FROM games WHERE game_id = $1',
    [original.gameId],
  );
  if (game === undefined) throw refused('its game is unknown');
  if (utcDayOf(original.tsMs) < game.dedupe_floor)
    throw refused(`its time is below the floor ${game.dedupe_floor} of the game`);
  const definition = await definitions.version(original.gameId, original.definitionVersion);
  const fault = definition.eventTypes.get(original.type)?.validate(payload) ?? null;
  if (fault !== null)
    throw refused(`the payload is not what ${original.type} wants: ${fault.pointer} ${fault.message}`);
  const corrected = correctedEvent(original, payload, { id: correctionId(random), nowMs: clock.now() });
  if (corrected.contentHash === original.contentHash)
    throw refused('the payload is the same: redrive it as it is');
  if (Buffer.byteLength(encodeEvent(corrected)) > BODY_BYTES_MAX)
    throw refused('the event is larger than 64 KiB');
  return { role: letter.role, original, corrected };
}

function originalOf(letter: Letter): AdmittedEvent {
  if (letter.identity === null) throw refused('the message cannot be read, so there is no event to correct');
  return readEvent(letter.body);
}

/**
 * Puts an event with another payload in the place of a dead one: it goes to the archive and to the letter's role, all
 * other roles bar it; the original is barred in the letter's role. One transaction (docs/adr/0009).
 *
 * @throws FairtallyError `letter_unknown`, `correction_refused`
 */
export async function correctLetter(
  letterId: number,
  payload: JsonObject,
  decision: Decision,
  deps: CorrectionDeps,
): Promise<Correction> {
  const { role, original, corrected } = await planCorrection(letterId, payload, deps);
  await ensureMonths(deps.db, [original, corrected]);
  return deps.db.transaction(async (sql) => {
    await barOriginal(sql, role, original);
    const takes: readonly RoleName[] = role === 'archive' ? ['archive'] : ['archive', role];
    const others = ROLES.filter((other) => !takes.includes(other)).map((other) => barOf(other, corrected));
    const barred = await barIdentities(sql, others);
    if (!others.every((bar) => isBarred(barred, bar))) throw new Error('a new event could not be barred');
    const scope = { letterId, eventId: original.id, correctedBy: corrected.id };
    const actionId = await recordAction(sql, 'correct', decision, scope);
    const closed = await sql.query(
      `UPDATE dead_letters SET state = 'corrected', action_id = $2, closed_at = now(), closed_by = $3, closed_why = $4
        WHERE id = $1 AND state = 'open' RETURNING id`,
      [letterId, actionId, decision.actor, decision.why],
    );
    if (closed.length === 0) throw refused('somebody else has just decided about the letter');
    await sql.query(
      'INSERT INTO corrections (letter_id, role, dedupe_day, identity, event_id, action_id) VALUES ($1, $2, $3, $4, $5, $6)',
      [letterId, role, corrected.dedupeDay, corrected.identity, corrected.id, actionId],
    );
    const body = encodeEvent(corrected);
    await submitCopies(
      sql,
      takes.map((to) => ({ role: to, event: corrected, body })),
      actionId,
    );
    return { role, actionId, original, corrected };
  });
}

const barOf = (role: RoleName, event: AdmittedEvent): Bar => ({ ...event, role });

/** The original must not be able to take effect any more, and must not have done so. */
async function barOriginal(sql: Sql, role: RoleName, original: AdmittedEvent): Promise<void> {
  const bar = barOf(role, original);
  const barred = await barIdentities(sql, [bar]);
  if (role === 'archive' && (await tookEffect(sql, original, null)))
    throw refused('other roles have counted the event: the archive must keep it as it is');
  if (isBarred(barred, bar)) return;
  if (await tookEffect(sql, original, role)) throw refused('the event has taken effect by now');
  const [standing] = await sql.query<{ stands: boolean }>(
    `SELECT EXISTS (SELECT 1 FROM inbox WHERE role = $1 AND dedupe_day = $2 AND identity = $3)
         OR EXISTS (SELECT 1 FROM games WHERE game_id = $4 AND dedupe_floor > $2) AS stands`,
    [role, original.dedupeDay, original.identity, original.gameId],
  );
  if (standing?.stands !== true)
    throw refused('another content under the same id waits in the dead letters: decide about that one first');
}

/** @param role null: in any role */
async function tookEffect(sql: Sql, event: AdmittedEvent, role: RoleName | null): Promise<boolean> {
  const rows = await sql.query(
    `SELECT 1 FROM inbox WHERE role = ANY($1) AND dedupe_day = $2 AND identity = $3
        AND content_hash = decode($4, 'hex') AND definition_version > 0 LIMIT 1`,
    [role === null ? ROLES : [role], event.dedupeDay, event.identity, event.contentHash],
  );
  return rows.length > 0;
}
