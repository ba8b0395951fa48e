import { FairtallyError } from '../kernel/errors.js';
import type { BusMessage } from './port.js';

export const BODY_BYTES_MAX = 64 * 1024;

/**
 * Of all but the message id, which is dear to make: a driver that sends it looks at it with `checkMessageIds`.
 *
 * The port's own limits, so that no driver stores what another could not carry and one wrong message cannot fail the
 * messages of others in a shared flush.
 *
 * @returns the bytes of all bodies
 * @throws FairtallyError `message_refused`
 */
export function checkMessages(messages: readonly BusMessage[]): number {
  let total = 0;
  for (const message of messages) {
    const bytes = Buffer.byteLength(message.body);
    total += bytes;
    if (bytes > BODY_BYTES_MAX) throw refused('its body is larger than 64 KiB');
    if (!isPlain(message.body, bytes) || !areNamesPlain(message)) throw refused(NOT_PLAIN);
  }
  return total;
}

/** @throws FairtallyError `message_refused` */
export function checkMessageIds(messages: readonly BusMessage[]): void {
  for (const { messageId } of messages) if (!isPlain(messageId)) throw refused(NOT_PLAIN);
}

function areNamesPlain({ gameId, playerId, headers }: BusMessage): boolean {
  if (!isPlain(gameId) || !isPlain(playerId)) return false;
  return (
    headers === undefined ||
    Object.entries(headers)
      .flat()
      .every((text) => isPlain(text))
  );
}

const NOT_PLAIN = 'it holds U+0000 or a lone surrogate';

const refused = (why: string): FairtallyError =>
  new FairtallyError('message_refused', `a message cannot be published: ${why}`);

const LONE_SURROGATE = /\p{Surrogate}/u;

/** A text with as many bytes as units is ASCII: most are, and then there is no surrogate to look for. */
const isPlain = (text: string, bytes = Buffer.byteLength(text)): boolean =>
  !text.includes('\u0000') && (bytes === text.length || !LONE_SURROGATE.test(text));
