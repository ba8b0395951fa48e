import type { AddressInfo, Server } from 'node:net';
import rhea, { type Connection, type EventContext, type Message, type Receiver, type Sender } from 'rhea';
import { DEAD_SESSION, TopicDouble, type EntitySettings, type SubscriptionDouble } from './entities.js';
import { manage, reply } from './management-link.js';
import { SESSION_FILTER, SessionLink } from './session-link.js';
import { announceLimit, echoTermini, holdAttach, messagesOf, refuse } from './wire.js';

const DEFAULTS: EntitySettings = {
  duplicateWindowMs: 600_000,
  lockDurationMs: 60_000,
  maxDeliveryCount: 1_000,
  maxMessageBytes: 256 * 1024,
};
const DEAD_QUEUE = '$DeadLetterQueue';
const ACCEPT_TIMEOUT_MAX_MS = 65_000;
const NOT_FOUND = { condition: 'amqp:not-found', description: 'The messaging entity could not be found.' };
const TIMEOUT = { condition: 'com.microsoft:timeout', description: 'There is no session to accept.' };
const UNAUTHORIZED = { condition: 'amqp:unauthorized-access', description: 'The token has expired.' };

/**
 * A double of Azure Service Bus for tests: an AMQP 1.0 server of ours that the unchanged SDK speaks to. It keeps the rules that
 * our promise depends on (sessions with exclusive locks that run out, peek-lock, delivery counts, dead letters,
 * duplicate detection); it is not Microsoft's service.
 */
export class ServicebusDouble {
  private readonly topics = new Map<string, TopicDouble>();
  private readonly peers = new Map<Connection, Peer>();
  private lostReplies: { readonly text: Buffer }[] = [];
  private isRefusingTokens = false;

  private constructor(private readonly server: Server) {}

  static async start(): Promise<ServicebusDouble> {
    const container = rhea.create_container();
    (container.sasl_server_mechanisms as unknown as { enable_anonymous(): void }).enable_anonymous();
    const server = container.listen({
      port: 0,
      host: '127.0.0.1',
      receiver_options: { autoaccept: false },
    });
    const double = new ServicebusDouble(server);
    double.serve(container);
    await new Promise((resolve) => server.once('listening', resolve));
    return double;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  addTopic(name: string, subscriptions: readonly string[], settings: Partial<EntitySettings> = {}): void {
    this.topics.set(name, new TopicDouble({ ...DEFAULTS, ...settings }, subscriptions));
  }

  topic(name: string): TopicDouble | null {
    return this.topics.get(name) ?? null;
  }

  subscription(topic: string, name: string): SubscriptionDouble {
    const found = this.find(`${topic}/Subscriptions/${name}`);
    if (found === null) throw new Error(`there is no subscription ${name}`);
    return found;
  }

  /** The next transfer that holds `text` is kept, and its connection breaks before the sender hears of it. */
  loseReply(text: string): void {
    this.lostReplies.push({ text: Buffer.from(text) });
  }

  /** Breaks every connection; new ones are served. */
  cutAll(): void {
    for (const connection of this.peers.keys()) cut(connection);
  }

  /** Tokens run out: every link is detached, and while `isRefused` new ones are not taken. */
  expireTokens(isRefused: boolean): void {
    this.isRefusingTokens = isRefused;
    for (const peer of this.peers.values()) peer.detachAll(UNAUTHORIZED);
  }

  acceptTokens(): void {
    this.isRefusingTokens = false;
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.cutAll();
    for (const topic of this.topics.values()) for (const one of topic.subscriptions.values()) one.close();
    await closed;
  }

  find(address: string): SubscriptionDouble | null {
    const [topic = '', kind = '', name = '', queue] = address.split('/');
    if (kind.toLowerCase() !== 'subscriptions') return null;
    const found = this.topics.get(topic)?.subscriptions.get(name) ?? null;
    return queue === DEAD_QUEUE ? (found?.deadQueue ?? null) : found;
  }

  get refusesTokens(): boolean {
    return this.isRefusingTokens;
  }

  /** Whether the answer to this transfer is to be lost; once per wish. */
  losesReply(messages: readonly Message[]): boolean {
    const isIn = ({ text }: { readonly text: Buffer }): boolean =>
      messages.some(({ body }) => Buffer.from((body as { content: Buffer }).content).includes(text));
    const hit = this.lostReplies.find(isIn);
    this.lostReplies = this.lostReplies.filter((one) => one !== hit);
    return hit !== undefined;
  }

  private serve(container: ReturnType<typeof rhea.create_container>): void {
    const peerOf = (connection: Connection): Peer => {
      const known = this.peers.get(connection);
      if (known !== undefined) return known;
      const peer = new Peer(this);
      this.peers.set(connection, peer);
      return peer;
    };
    const gone = ({ connection }: EventContext): void => {
      this.peers.get(connection)?.end();
      this.peers.delete(connection);
    };
    container.on('connection_open', ({ connection }: EventContext) => void peerOf(connection));
    container.on('disconnected', gone);
    container.on('connection_close', gone);
    container.on('receiver_open', ({ connection, receiver }: EventContext) => {
      if (receiver !== undefined) peerOf(connection).attachSender(receiver);
    });
    container.on('sender_open', ({ connection, sender }: EventContext) => {
      if (sender !== undefined) peerOf(connection).attachReceiver(sender);
    });
    // A client that goes away in the middle of something is what the tests are about.
    for (const event of ['connection_error', 'session_error', 'sender_error', 'receiver_error', 'error'])
      container.on(event, () => undefined);
  }
}

const cut = (connection: Connection): void =>
  (connection as unknown as { socket: { destroy(): void } }).socket.destroy();

/** One connection of a client, and its links. The words of the methods are the client's. */
class Peer {
  private readonly links = new Set<Sender | Receiver>();
  private readonly sessions = new Map<string, SessionLink>();
  private readonly replies = new Map<string, Sender>();
  private readonly waiting = new Set<() => void>();

  constructor(private readonly double: ServicebusDouble) {}

  end(): void {
    for (const withdraw of this.waiting) withdraw();
    for (const session of this.sessions.values()) session.end();
    this.sessions.clear();
  }

  detachAll(error: { condition: string; description: string }): void {
    for (const link of this.links) if (link.is_open()) link.close(error);
    this.end();
  }

  attachSender(receiver: Receiver): void {
    const address = receiver.target.address;
    echoTermini(receiver);
    if (address === '$cbs')
      return void receiver.on('message', (context: EventContext) => this.token(context));
    if (this.double.refusesTokens) return refuse(receiver, UNAUTHORIZED);
    this.links.add(receiver);
    if (address.endsWith('/$management'))
      return void receiver.on('message', (context: EventContext) => this.manage(address, context));
    const topic = this.double.topic(address);
    if (topic === null) return refuse(receiver, NOT_FOUND);
    announceLimit(receiver, topic.settings.maxMessageBytes);
    receiver.on('message', (context: EventContext) => this.publish(topic, context));
  }

  attachReceiver(sender: Sender): void {
    const { address } = sender.source;
    if (address === '$cbs' || address.endsWith('/$management')) {
      echoTermini(sender);
      this.replies.set(sender.name, sender);
      return;
    }
    const subscription = this.double.find(address);
    if (this.double.refusesTokens) return refuse(sender, UNAUTHORIZED);
    if (subscription === null) return refuse(sender, NOT_FOUND);
    this.links.add(sender);
    this.acceptSession(sender, subscription);
  }

  private acceptSession(sender: Sender, subscription: SubscriptionDouble): void {
    const isDead = sender.source.address.endsWith(`/${DEAD_QUEUE}`);
    const wanted: unknown = isDead ? DEAD_SESSION : sender.source.filter?.[SESSION_FILTER];
    const begin = (lock: SessionLink['lock']): void => {
      const link = new SessionLink(sender, subscription, lock, !isDead);
      this.sessions.set(link.name, link);
      const ended = (): void => {
        link.end();
        this.sessions.delete(link.name);
      };
      sender.on('sender_close', ended);
      sender.session.on('session_close', ended);
    };
    if (typeof wanted === 'string') {
      const lock = subscription.acceptNamed(wanted);
      if (lock !== null) return begin(lock);
      return refuse(sender, { condition: 'com.microsoft:session-cannot-be-locked', description: wanted });
    }
    holdAttach(sender);
    this.waitForSession(sender, subscription, begin);
  }

  private waitForSession(
    sender: Sender,
    subscription: SubscriptionDouble,
    begin: (lock: SessionLink['lock']) => void,
  ): void {
    const timeoutMs = Number(sender.properties['com.microsoft:timeout'] ?? ACCEPT_TIMEOUT_MAX_MS);
    let unwish = (): void => undefined;
    const withdraw = (): void => {
      clearTimeout(giveUp);
      this.waiting.delete(withdraw);
      unwish();
    };
    const giveUp = setTimeout(
      () => {
        withdraw();
        refuse(sender, TIMEOUT);
      },
      Math.min(timeoutMs, ACCEPT_TIMEOUT_MAX_MS),
    );
    this.waiting.add(withdraw);
    unwish = subscription.acceptNext((lock) => {
      withdraw();
      begin(lock);
    });
  }

  private token({ message, delivery }: EventContext): void {
    delivery?.accept();
    const sender = this.replies.get(String(message?.reply_to));
    if (message === undefined || sender === undefined) return;
    reply(sender, message, { statusCode: this.double.refusesTokens ? 401 : 202 });
  }

  private manage(address: string, { message, delivery }: EventContext): void {
    delivery?.accept();
    const sender = this.replies.get(String(message?.reply_to));
    if (message === undefined || sender === undefined) return;
    const subscription = this.double.find(address.slice(0, -'/$management'.length));
    reply(
      sender,
      message,
      manage(message, subscription, (name) => this.sessions.get(name) ?? null),
    );
  }

  private publish(topic: TopicDouble, { message, delivery, connection }: EventContext): void {
    if (delivery === undefined || message === undefined) return;
    const messages = messagesOf(message, delivery.format);
    const bytes = Buffer.isBuffer(message) ? message.length : 0;
    if (bytes > topic.settings.maxMessageBytes)
      return delivery.reject({ condition: 'amqp:link:message-size-exceeded', description: 'too large' });
    const [first] = messages;
    if (first?.group_id === undefined || messages.some(({ group_id }) => group_id !== first.group_id))
      return delivery.reject({ condition: 'amqp:not-allowed', description: 'one session id per batch' });
    topic.publish(messages);
    if (this.double.losesReply(messages)) return cut(connection);
    delivery.accept();
  }
}
