import { randomUUID } from 'node:crypto';
import type { Message, Sender } from 'rhea';
import type { SubscriptionDouble } from './entities.js';
import type { SessionLink } from './session-link.js';
import { encode, outgoing } from './wire.js';

const PEEK_MAX = 250;

interface Answer {
  readonly statusCode: number;
  readonly errorCondition?: string;
  readonly body?: object;
}

/** Answers one request to `<subscription>/$management`: peek and renew-session-lock, as the service does. */
export function manage(
  request: Message,
  subscription: SubscriptionDouble | null,
  linkNamed: (name: string) => SessionLink | null,
): Answer {
  const properties = request.application_properties ?? {};
  const body = request.body as Record<string, unknown>;
  if (subscription === null) return { statusCode: 404, errorCondition: 'amqp:not-found' };
  switch (properties['operation']) {
    case 'com.microsoft:peek-message':
      return peek(subscription, body);
    case 'com.microsoft:renew-session-lock': {
      const link = linkNamed(String(properties['associated-link-name']));
      const untilMs = link === null ? null : subscription.renew(link.lock);
      if (untilMs === null) return { statusCode: 410, errorCondition: 'com.microsoft:session-lock-lost' };
      return { statusCode: 200, body: { expiration: new Date(untilMs) } };
    }
    default:
      return { statusCode: 400, errorCondition: 'amqp:not-implemented' };
  }
}

function peek(subscription: SubscriptionDouble, body: Record<string, unknown>): Answer {
  const from = Number(body['from-sequence-number']);
  const max = Math.min(PEEK_MAX, Number(body['message-count']));
  const sessionId = body['session-id'];
  const found = subscription.peek(from, max, typeof sessionId === 'string' ? sessionId : undefined);
  if (found.length === 0) return { statusCode: 204 };
  return { statusCode: 200, body: { messages: found.map((one) => ({ message: encode(outgoing(one)) })) } };
}

/** Sends an answer on the link that the request named. */
export function reply(sender: Sender, request: Message, answer: Answer): void {
  sender.send({
    message_id: randomUUID(),
    correlation_id: request.message_id as string,
    application_properties: {
      statusCode: answer.statusCode,
      'status-code': answer.statusCode,
      statusDescription: answer.errorCondition ?? 'OK',
      ...(answer.errorCondition === undefined ? {} : { errorCondition: answer.errorCondition }),
    },
    body: answer.body ?? {},
  });
}
