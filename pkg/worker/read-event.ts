import { decodeEvent, type AdmittedEvent } from '../contract/event.js';
import { PoisonError } from '../kernel/errors.js';

/**
 * An event as the worker trusts it: the exact envelope, a day of the calendar, texts that a database column can hold.
 *
 * @throws PoisonError `unreadable`, `unknown_version`
 */
export function readEvent(body: string): AdmittedEvent {
  const event = decodeEvent(body);
  const { dedupeDay, gameId, playerId, id, type, keyId } = event;
  if (!isCalendarDay(dedupeDay)) throw new PoisonError('unreadable', 'dedupeDay is no day of the calendar');
  if ([gameId, playerId, id, type, keyId].some((text) => text.includes('\u0000'))) {
    throw new PoisonError('unreadable', 'a name holds U+0000');
  }
  return event;
}

let lastRightDay = '';

/** Year 1 on: `0000` is no year of the database. Most events of a batch share a day, so the last answer is remembered. */
function isCalendarDay(day: string): boolean {
  if (day === lastRightDay) return true;
  const time = Date.parse(`${day}T00:00:00Z`);
  const isRight =
    !Number.isNaN(time) && new Date(time).toISOString().startsWith(day) && !day.startsWith('0000');
  if (isRight) lastRightDay = day;
  return isRight;
}
