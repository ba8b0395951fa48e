import { createHash } from 'node:crypto';
import type { ServiceBusMessage, ServiceBusReceivedMessage } from '@azure/service-bus';
import { FairtallyError } from '../kernel/errors.js';
import { laneOf } from '../kernel/lanes.js';
import type { BusMessage, Delivery } from './port.js';

/** Sessions of a subscription. Fixed: changing it would reorder what is in flight. */
export const SESSION_COUNT = 128;

/** Our own names among the application properties; headers stand beside them under their own names. */
const OWN = { gameId: 'gameId', playerId: 'playerId', messageId: 'messageId' } as const;
const OWN_NAMES: ReadonlySet<string> = new Set(Object.values(OWN));

export const sessionOf = (message: BusMessage): string =>
  String(laneOf(message.gameId, message.playerId, SESSION_COUNT));

/**
 * Duplicate detection looks at MessageId alone, over the whole topic, and drops a repeat while it reports success: so the
 * broker's id names the game and the player too, and nothing of one game can make something of another vanish.
 */
export function brokerMessageId({ gameId, playerId, messageId }: BusMessage): string {
  const hash = createHash('sha256');
  for (const text of [gameId, playerId, messageId]) hash.update(`${String(Buffer.byteLength(text))}:${text}`);
  return hash.digest('hex');
}

/** @throws FairtallyError `message_refused` when a header has one of our own names */
export function toBroker(message: BusMessage): ServiceBusMessage {
  const { gameId, playerId, messageId, headers = {} } = message;
  if (Object.keys(headers).some((name) => OWN_NAMES.has(name)))
    throw new FairtallyError(
      'message_refused',
      'a message cannot be published: a header has a reserved name',
    );
  return {
    messageId: brokerMessageId(message),
    sessionId: sessionOf(message),
    body: Buffer.from(message.body),
    applicationProperties: { ...headers, gameId, playerId, messageId },
  };
}

/**
 * What is not one of ours (someone else's sender) comes out without game and player, and known by its place, so that no two
 * of them are one to the crash guard: its role buries it as unreadable.
 */
export function toDelivery(received: ServiceBusReceivedMessage): Delivery {
  const properties = received.applicationProperties ?? {};
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(properties))
    if (!OWN_NAMES.has(name) && typeof value === 'string') headers[name] = value;
  const own = (name: string): string => {
    const value = properties[name];
    return typeof value === 'string' ? value : '';
  };
  const position = `${received.sessionId ?? ''}/${String(received.sequenceNumber ?? '')}`;
  return {
    body: textOf(received.body),
    headers,
    gameId: own(OWN.gameId),
    playerId: own(OWN.playerId),
    messageId: own(OWN.messageId) || position,
    position,
    // Attempts are counted in place while the session is held. The broker's deliveryCount is not ours: it rises whenever a
    // lock ends with the message unsettled, so a restart or an hour without network would burn attempts.
    attempt: 1,
  };
}

function textOf(body: unknown): string {
  if (body instanceof Uint8Array) return Buffer.from(body).toString('utf8');
  return typeof body === 'string' ? body : (JSON.stringify(body) ?? '');
}
