import { contentHashOf, dedupeDayOf, identityOf } from '../../contract/identity.js';
import type { AdmittedEvent, JsonObject } from '../../contract/event.js';
import type { Random } from '../../kernel/random.js';

const ID_BYTES = 16;

/** An id of its own, without a day in it: the event stays in the day of its time. */
export const correctionId = (random: Random): string => `fix_${random.bytes(ID_BYTES).toString('base64url')}`;

/**
 * The event that takes the place of another: the same player, type, time, sender and definition version; a new id, the
 * corrected payload, and the id of the original in its context.
 *
 * @param id as correctionId makes it
 * @param nowMs UTC ms, when it is received
 */
export function correctedEvent(
  original: AdmittedEvent,
  payload: JsonObject,
  { id, nowMs }: { readonly id: string; readonly nowMs: number },
): AdmittedEvent {
  const { gameId, playerId, type, tsMs } = original;
  const dedupeDay = dedupeDayOf(id, tsMs);
  return {
    ...original,
    id,
    payload,
    dedupeDay,
    identity: identityOf(gameId, playerId, dedupeDay, id),
    contentHash: contentHashOf({ type, playerId, tsMs, payload }),
    receivedAtMs: nowMs,
    context: { ...original.context, corrects: original.id },
  };
}
