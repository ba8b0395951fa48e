import type { IHeaders, KafkaMessage, Message } from 'kafkajs';
import { FairtallyError } from '../kernel/errors.js';
import { playerKey } from '../kernel/lanes.js';
import type { BusMessage, Delivery } from './port.js';

/** What a delivery needs beside its body travels in headers of this name, before those of the message. */
const RESERVED = 'fairtally-';
const GAME = `${RESERVED}game-id`;
const PLAYER = `${RESERVED}player-id`;
const MESSAGE = `${RESERVED}message-id`;
const OWN: ReadonlySet<string> = new Set([GAME, PLAYER, MESSAGE]);

/** What a record takes on the wire beside its texts, at most: lengths, deltas and the names above. */
const OVERHEAD_BYTES = 128;

export interface SizedRecord {
  readonly record: Message;
  /** On the wire, at most. */
  readonly bytes: number;
}

/**
 * @param timestampMs UTC ms
 * @throws FairtallyError `message_refused`: a header has one of our names
 */
export function toRecord(message: BusMessage, timestampMs: number): SizedRecord {
  const { gameId, playerId, messageId, body, headers = {} } = message;
  if (Object.keys(headers).some((name) => name.startsWith(RESERVED)))
    throw new FairtallyError(
      'message_refused',
      `a message cannot be published: a header begins with ${RESERVED}`,
    );
  const all = { [GAME]: gameId, [PLAYER]: playerId, [MESSAGE]: messageId, ...headers };
  const key = playerKey(gameId, playerId);
  const texts = [key, body, ...Object.entries(all).flat()];
  const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), OVERHEAD_BYTES);
  return { record: { key, value: body, headers: all, timestamp: String(timestampMs) }, bytes };
}

/** A record of somebody else's becomes a delivery too: the handler says what is to be done with it. */
export function toDelivery(partition: number, message: KafkaMessage): Delivery {
  const { headers: all = {} } = message;
  const others: [string, string][] = [];
  for (const name in all) if (!OWN.has(name)) others.push([name, textOf(all[name])]);
  const position = `${String(partition)}/${message.offset}`;
  return {
    gameId: textOf(all[GAME]),
    playerId: textOf(all[PLAYER]),
    messageId: MESSAGE in all ? textOf(all[MESSAGE]) : position,
    body: message.value?.toString() ?? '',
    headers: Object.fromEntries(others),
    position,
    attempt: 1,
  };
}

const textOf = (value: IHeaders[string]): string => {
  const one = Array.isArray(value) ? value[0] : value;
  return one?.toString() ?? '';
};
