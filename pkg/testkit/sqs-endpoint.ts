import { buildApp } from 'fauxqs';

/** An SQS endpoint in this process, spoken to over HTTP as the real one. Region and credentials are whatever a client says. */
export interface SqsEndpoint {
  readonly port: number;
  readonly url: string;
  /** What a client is given in place of the SDK's own provider chain. */
  readonly client: {
    readonly endpoint: string;
    readonly region: string;
    readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  };
  /** Connections that are open. One that was cut in between may live on here for a moment. */
  connections(): Promise<number>;
  /** As if the visibility timeout of all that is in flight had passed. */
  expire(): void;
  /** Every answer of this action passes through here, after it took effect. */
  onAnswer(action: string, change: AnswerChange): void;
  /** The requests of an action that came so far, in order. */
  requests(action: string): readonly SqsRequest[];
  close(): Promise<void>;
}

export interface SqsRequest {
  readonly QueueUrl?: string;
  readonly QueueName?: string;
  readonly Entries?: readonly {
    readonly Id: string;
    readonly MessageBody?: string;
    readonly VisibilityTimeout?: number;
  }[];
}

export type AnswerChange = (request: SqsRequest, answer: SqsAnswer) => SqsAnswer | ServiceError;

export interface SqsAnswer {
  Successful?: { Id: string }[];
  Failed?: { Id: string; SenderFault: boolean; Code: string; Message: string }[];
}

export interface ServiceError {
  readonly __type: string;
  readonly message: string;
  readonly status: number;
}

interface StoredMessage {
  readonly messageGroupId: string;
  readonly sequenceNumber: string;
}
interface ReceivedMessage {
  readonly ReceiptHandle: string;
}
interface Queue {
  readonly fifoMessages: Map<string, StoredMessage[]>;
  fifoLockedGroups: Map<string, number>;
  readonly inflightMessages: Map<string, { readonly message: StoredMessage; visibilityDeadline: number }>;
  dequeueFifo(count: number, ...rest: unknown[]): ReceivedMessage[];
  changeVisibility(receipt: string, seconds: number): void;
  processTimers(): void;
}
interface Store {
  createQueue(...parameters: unknown[]): Queue;
  getQueue(url: string): Queue | undefined;
  readonly queues: Map<string, Queue>;
}
type Stores = NonNullable<NonNullable<Parameters<typeof buildApp>[0]>['stores']>;

const ANY_CHARACTER = /^[\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]*$/u;

/** fauxqs offers its stores under no name of their own. */
const part = async (path: string): Promise<Record<string, unknown>> =>
  (await import(new URL(path, import.meta.resolve('fauxqs')).href)) as Record<string, unknown>;

/** Where fauxqs 1.9.2 is stricter than SQS: it refuses all beyond U+FFFF, and changes of two attributes of FIFO queues. */
async function loosen(): Promise<void> {
  const { INVALID_MESSAGE_BODY_CHAR, SETTABLE_ATTRIBUTES } = (await part('./sqs/sqsTypes.js')) as {
    INVALID_MESSAGE_BODY_CHAR: RegExp;
    SETTABLE_ATTRIBUTES: Set<string>;
  };
  INVALID_MESSAGE_BODY_CHAR.test = (text) => !ANY_CHARACTER.test(text);
  SETTABLE_ATTRIBUTES.add('DeduplicationScope').add('FifoThroughputLimit');
}

/** A receive of SQS gives several messages of a group, in order; fauxqs gives one, and mixes them up when several come back. */
function giveSeveralOfGroup(queue: Queue): void {
  const giveOneOfEach = queue.dequeueFifo.bind(queue);
  const processTimers = queue.processTimers.bind(queue);
  queue.dequeueFifo = (count, ...rest) => {
    processTimers();
    queue.processTimers = () => undefined; // between two rounds nothing may come back
    for (const group of queue.fifoMessages.values())
      group.sort((a, b) => (a.sequenceNumber < b.sequenceNumber ? -1 : 1));
    const locks = new Map(queue.fifoLockedGroups);
    const received: ReceivedMessage[] = [];
    for (let isMore = true; isMore && received.length < count;) {
      queue.fifoLockedGroups = new Map(locks);
      const round = giveOneOfEach(count - received.length, ...rest);
      received.push(...round);
      isMore = round.length > 0;
    }
    for (const { ReceiptHandle } of received) {
      const group = queue.inflightMessages.get(ReceiptHandle)?.message.messageGroupId ?? '';
      locks.set(group, (locks.get(group) ?? 0) + 1);
    }
    queue.fifoLockedGroups = locks;
    queue.processTimers = processTimers;
    return received;
  };
}

/** SQS is not known to keep a message invisible for an answer that nobody could take; fauxqs answers into the void. */
function takeBackUnread(store: Store, request: SqsRequest, payload: string): void {
  const { Messages = [] } = JSON.parse(payload) as { Messages?: ReceivedMessage[] };
  for (const { ReceiptHandle } of Messages.reverse())
    store.getQueue(request.QueueUrl ?? '')?.changeVisibility(ReceiptHandle, 0);
}

async function makeStores(): Promise<{ stores: Stores; store: Store }> {
  const [sqs, sns, s3] = await Promise.all(
    ['./sqs/sqsStore.js', './sns/snsStore.js', './s3/s3Store.js'].map(part),
  );
  const stores = {
    sqsStore: new (sqs as { SqsStore: new () => Store }).SqsStore(),
    snsStore: new (sns as { SnsStore: new () => object }).SnsStore(),
    s3Store: new (s3 as { S3Store: new () => object }).S3Store(),
  };
  const store = stores.sqsStore;
  const createQueue = store.createQueue.bind(store);
  store.createQueue = (...parameters) => {
    const queue = createQueue(...parameters);
    giveSeveralOfGroup(queue);
    return queue;
  };
  return { stores: stores as unknown as Stores, store };
}

export async function startSqsEndpoint(): Promise<SqsEndpoint> {
  await loosen();
  const { stores, store } = await makeStores();
  const changes = new Map<string, AnswerChange>();
  const requests = new Map<string, SqsRequest[]>();
  const app = buildApp({ logger: false, stores });
  const actionOf = (headers: Readonly<Record<string, unknown>>): string =>
    String(headers['x-amz-target']).replace('AmazonSQS.', '');
  app.addHook('preHandler', (request, _reply, done) => {
    const action = actionOf(request.headers);
    const seen = requests.get(action) ?? [];
    seen.push(request.body as SqsRequest);
    requests.set(action, seen);
    done();
  });
  app.addHook('onSend', (request, reply, payload, done) => {
    const action = actionOf(request.headers);
    const body = request.body as SqsRequest;
    const change = changes.get(action);
    if (action === 'ReceiveMessage' && request.raw.socket.destroyed && reply.statusCode === 200)
      takeBackUnread(store, body, String(payload));
    if (change === undefined || reply.statusCode !== 200) return done(null, payload);
    const answer = change(body, JSON.parse(String(payload)) as SqsAnswer);
    if ('__type' in answer) reply.status(answer.status);
    done(null, JSON.stringify(answer));
  });
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  return {
    port: Number(new URL(url).port),
    url,
    client: {
      endpoint: url,
      region: 'eu-test-1',
      credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    },
    connections: () =>
      new Promise((resolve, reject) => {
        app.server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)));
      }),
    expire: () => {
      for (const queue of store.queues.values()) {
        for (const entry of queue.inflightMessages.values()) entry.visibilityDeadline = 0;
        queue.processTimers();
      }
    },
    onAnswer: (action, change) => void changes.set(action, change),
    requests: (action) => requests.get(action) ?? [],
    close: () => app.close(),
  };
}
