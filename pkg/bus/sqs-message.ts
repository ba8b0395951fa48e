import { createHash } from 'node:crypto';
import type { Message, MessageAttributeValue, SendMessageBatchRequestEntry } from '@aws-sdk/client-sqs';
import { FairtallyError } from '../kernel/errors.js';
import { playerKey } from '../kernel/lanes.js';
import type { BusMessage, Delivery } from './port.js';

/** What SQS takes of one batch is 256 KiB in old regions and queues: this leaves room for what it counts and we do not. */
export const BATCH_BYTES_MAX = 200 * 1024;

/** A message as SQS gets it. `Id`, its name inside one request, is added there. */
export interface WireMessage {
  readonly entry: Omit<SendMessageBatchRequestEntry, 'Id'>;
  /** The group: messages of one player keep their order. */
  readonly group: string;
  readonly bytes: number;
}

/** Read from SQS and not yet deleted. */
export interface HeldMessage {
  readonly delivery: Delivery;
  readonly receiptHandle: string;
  /** When SQS accepted it, UTC ms. */
  readonly sentAtMs: number;
}

/** @throws FairtallyError `message_refused` when headers make it larger than one batch may be */
export function toWire(message: BusMessage): WireMessage {
  const { gameId, playerId, messageId, headers = {} } = message;
  const group = playerKey(gameId, playerId);
  const { traceparent, ...others } = headers;
  const texts: Record<string, string> = { gameId, playerId, messageId };
  if (traceparent !== undefined) texts['traceparent'] = traceparent;
  // SQS knows ten attributes with ASCII names: all headers but the one that tracing tools look for share one.
  if (Object.keys(others).length > 0) texts['headers'] = JSON.stringify(others);
  const attributes: Record<string, MessageAttributeValue> = {};
  const body = encodeText(message.body);
  let bytes = Buffer.byteLength(body);
  for (const [name, text] of Object.entries(texts)) {
    const value = encodeText(text);
    attributes[name] = { DataType: 'String', StringValue: value };
    bytes += name.length + 'String'.length + Buffer.byteLength(value);
  }
  if (bytes > BATCH_BYTES_MAX) {
    throw new FairtallyError('message_refused', 'a message cannot be published: its headers are too large');
  }
  const entry = {
    MessageBody: body,
    MessageGroupId: group,
    MessageDeduplicationId: deduplicationId(group, messageId),
    MessageAttributes: attributes,
  };
  return { entry, group, bytes };
}

/**
 * SQS drops repeats of it silently for five minutes, within a group or, on a queue that is set up wrongly, within all of the
 * queue. With the group in it neither can make the same message id of two players or games one message, and an id of any
 * text gets the form that SQS takes.
 */
const deduplicationId = (group: string, messageId: string): string =>
  createHash('sha256').update(group).update(messageId).digest('hex');

/** Never throws: what somebody else put into the queue is handed on, for the role to bury as unreadable. */
export function fromWire(message: Message): HeldMessage {
  const { Attributes: system = {}, MessageAttributes: attributes = {} } = message;
  const text = (name: string): string | undefined => {
    const value = attributes[name]?.StringValue;
    return value === undefined ? undefined : decodeText(value);
  };
  const group = system.MessageGroupId ?? '';
  const traceparent = text('traceparent');
  return {
    delivery: {
      body: decodeText(message.Body ?? ''),
      headers: { ...readHeaders(text('headers')), ...(traceparent === undefined ? {} : { traceparent }) },
      messageId: text('messageId') ?? message.MessageId ?? '',
      gameId: text('gameId') ?? '',
      playerId: text('playerId') ?? group,
      position: `${group}/${system.SequenceNumber ?? message.MessageId ?? ''}`,
      // SQS counts every receive, also after an outage, a lost visibility or a member that closed: none of them is a failed
      // attempt. Those are counted in place while the messages are held, and a crash by what is written before a batch.
      attempt: 1,
    },
    receiptHandle: message.ReceiptHandle ?? '',
    sentAtMs: Number(system.SentTimestamp ?? NaN),
  };
}

function readHeaders(text: string | undefined): Record<string, string> {
  if (text === undefined) return {};
  try {
    const value: unknown = JSON.parse(text);
    const isRecord = typeof value === 'object' && value !== null && !Array.isArray(value);
    const entries = isRecord ? Object.entries(value) : [];
    return Object.fromEntries(
      entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
    );
  } catch {
    return {}; // Not ours; the body says what it is.
  }
}

// SQS refuses the empty text, all controls but tab, line feed and carriage return, and U+FFFE and U+FFFF.
const REFUSED = /[\u0001-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/;
const TO_ESCAPE = /[~\u0001-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g;
const ESCAPED = /~([@A-Z[\\\]^_~ef])/g;
const MARK = '~';
const ESCAPE_OF = new Map([
  ['~', '~~'],
  ['\ufffe', '~e'],
  ['\uffff', '~f'],
]);
const TEXT_OF = new Map([...ESCAPE_OF].map(([text, escape]) => [escape, text]));
const CONTROLS_AT = 0x40;

/**
 * A text that SQS takes. Almost every text stays as it is, JSON always begins as JSON. One that SQS would refuse, or that
 * begins with the mark, gets the mark in front and escapes of two characters: controls in caret notation (`~A` is U+0001), `~~`,
 * `~e` and `~f`. At most twice as many bytes.
 */
export function encodeText(text: string): string {
  if (text !== '' && !text.startsWith(MARK) && !REFUSED.test(text)) return text;
  const escape = (one: string): string =>
    ESCAPE_OF.get(one) ?? `~${String.fromCharCode(CONTROLS_AT + one.charCodeAt(0))}`;
  return MARK + text.replace(TO_ESCAPE, escape);
}

export function decodeText(text: string): string {
  if (!text.startsWith(MARK)) return text;
  const unescape = (escape: string, code: string): string =>
    TEXT_OF.get(escape) ?? String.fromCharCode(code.charCodeAt(0) - CONTROLS_AT);
  return text.slice(MARK.length).replace(ESCAPED, unescape);
}
