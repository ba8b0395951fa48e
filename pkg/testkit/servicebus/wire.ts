import { randomBytes } from 'node:crypto';
import rhea, { type AmqpError, type link, type Message, type Receiver, type Sender } from 'rhea';
import type { StoredMessage } from './entities.js';

/** What rhea keeps of a link and its typings leave out; read and set between an attach and its answer. */
interface LinkInside {
  readonly local: { readonly attach: { max_message_size?: number; properties?: object } };
  readonly state: { local_open: boolean; open_requests: number };
  readonly connection: { _register(): void };
  credit: number;
  delivery_count: number;
}

const inside = (one: link): LinkInside => one as unknown as LinkInside;

/** Message format of a batch: each data section holds one encoded message. */
const BATCH_FORMAT = 0x80013700;
const TICKS_OF_EPOCH = 621_355_968_000_000_000n;

/** Keeps the answer to an attach back; `open()` gives it later. Only in the handler of the attach itself. */
export function holdAttach(one: link): void {
  inside(one).state.local_open = false;
  inside(one).state.open_requests = 0;
}

export function echoTermini(one: link): void {
  one.set_source(one.source);
  one.set_target(one.target);
}

export const announceLimit = (receiver: Receiver, bytes: number): void => {
  inside(receiver).local.attach.max_message_size = bytes;
};

/** Answers an attach with the session that was chosen and the end of its lock, in 100 ns ticks since the year 1. */
export function answerSession(sender: Sender, filterName: string, sessionId: string, untilMs: number): void {
  sender.set_source({ address: sender.source.address, filter: { [filterName]: sessionId } });
  const ticks = Buffer.alloc(8);
  ticks.writeBigInt64BE(BigInt(untilMs) * 10_000n + TICKS_OF_EPOCH);
  inside(sender).local.attach.properties = {
    'com.microsoft:locked-until-utc': rhea.types.wrap_long(ticks),
  };
}

/** An attach is refused by an attach that is followed by a detach with the reason. */
export function refuse(one: link, error: AmqpError): void {
  one.open();
  one.close(error);
}

/**
 * Says that nothing more is coming. rhea keeps silent when the credit is used up by messages that are on their way, and the
 * client waits for a word: so there is always one credit more to give back.
 */
export function answerDrain(sender: Sender): void {
  inside(sender).credit += 1;
  inside(sender).delivery_count -= 1;
  sender.set_drained(true);
  inside(sender).connection._register();
}

/** The messages of one transfer: one, or those of a batch. */
export function messagesOf(transferred: Message | Buffer, format: number): readonly Message[] {
  if (format !== BATCH_FORMAT) return [transferred as Message];
  const outer = rhea.message.decode(transferred as Buffer) as unknown as Message;
  const { content } = outer.body as { content: Buffer | Buffer[] };
  const encoded = Array.isArray(content) ? content : [content];
  return encoded.map((one) => rhea.message.decode(one) as unknown as Message);
}

/** The message as the service hands it out: the sender's, with the broker's counts and annotations. */
export const outgoing = (stored: StoredMessage, lockedUntilMs?: number): Message => ({
  ...stored.message,
  delivery_count: stored.deliveryCount,
  message_annotations: {
    ...stored.message.message_annotations,
    'x-opt-sequence-number': stored.sequence,
    'x-opt-enqueued-time': new Date(stored.enqueuedAtMs),
    ...(lockedUntilMs === undefined ? {} : { 'x-opt-locked-until': new Date(lockedUntilMs) }),
  },
});

export const encode = (message: Message): Buffer => rhea.message.encode(message);

/** The lock token: 16 bytes. */
export const lockToken = (): Buffer => randomBytes(16);

/** Outcomes of a delivery; the typings of rhea leave their makers out. */
const outcomes = rhea.message as unknown as Record<
  'accepted' | 'rejected',
  (fields?: object) => { described(): object }
>;
export const accepted = (): object => outcomes.accepted().described();
export const rejected = (error: AmqpError): object => outcomes.rejected({ error }).described();
