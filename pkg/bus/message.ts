import { FairtallyError } from '../kernel/errors.js';
import type { BusMessage } from './port.js';

export const BODY_BYTES_MAX = 64 * 1024;

/**
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
    const texts = [message.body, message.gameId, message.playerId, message.messageId];
    for (const [name, value] of Object.entries(message.headers ?? {})) texts.push(name, value);
    if (!texts.every(isPlain)) throw refused('it holds U+0000 or a lone surrogate');
  }
  return total;
}

const refused = (why: string): FairtallyError =>
  new FairtallyError('message_refused', `a message cannot be published: ${why}`);

const LONE_SURROGATE = /\p{Surrogate}/u;

const isPlain = (text: string): boolean => !text.includes('\u0000') && !LONE_SURROGATE.test(text);
