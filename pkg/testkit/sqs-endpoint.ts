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
  /** Asked before each request of the action takes effect: it may wait, or answer with an error in the endpoint's place. */
  before(
    action: string,
    answer: (request: SqsRequest) => ServiceError | null | Promise<ServiceError | null>,
  ): void;
  /** Entries that a batch request is to fail with, while the others of the request take effect. */
  failEntries(action: string, pick: (entry: SqsEntry, request: SqsRequest) => EntryFailure | null): void;
  /** The requests of an action that came so far, in order. */
  requests(action: string): readonly SqsRequest[];
  close(): Promise<void>;
}

export interface SqsEntry {
  readonly Id: string;
  readonly MessageBody?: string;
}

export interface SqsRequest {
  readonly QueueUrl?: string;
  readonly Entries?: readonly SqsEntry[];
}

export interface EntryFailure {
  readonly SenderFault: boolean;
  readonly Code: string;
}

export interface ServiceError {
  readonly __type: string;
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

type App = ReturnType<typeof buildApp>;

const actionOf = (headers: Readonly<Record<string, unknown>>): string =>
  String(headers['x-amz-target']).replace('AmazonSQS.', '');

/** Lets tests look at requests and get into their way. */
function addFaults(app: App): Pick<SqsEndpoint, 'before' | 'failEntries' | 'requests'> {
  const requests = new Map<string, SqsRequest[]>();
  const before = new Map<string, Parameters<SqsEndpoint['before']>[1]>();
  const picks = new Map<string, Parameters<SqsEndpoint['failEntries']>[1]>();
  const failures = new WeakMap<object, object[]>();
  app.addHook('preHandler', async (request, reply) => {
    const action = actionOf(request.headers);
    const body = request.body as SqsRequest;
    requests.set(action, [...(requests.get(action) ?? []), body]);
    const error = await before.get(action)?.(body);
    if (error !== null && error !== undefined) return reply.status(error.status).send(error);
    const failed = new Map(
      (body.Entries ?? []).map((entry) => [entry, picks.get(action)?.(entry, body) ?? null]),
    );
    const Failed = [...failed].flatMap(([{ Id }, failure]) => (failure === null ? [] : [{ Id, ...failure }]));
    if (Failed.length === 0) return;
    if (Failed.length === body.Entries?.length) return reply.send({ Successful: [], Failed });
    failures.set(request, Failed);
    request.body = { ...body, Entries: body.Entries?.filter((entry) => failed.get(entry) === null) };
  });
  app.addHook('onSend', async (request, _reply, payload) => {
    const Failed = failures.get(request);
    if (Failed === undefined) return payload;
    return JSON.stringify({ ...(JSON.parse(String(payload)) as object), Failed });
  });
  return {
    before: (action, answer) => void before.set(action, answer),
    failEntries: (action, pick) => void picks.set(action, pick),
    requests: (action) => requests.get(action) ?? [],
  };
}

export async function startSqsEndpoint(): Promise<SqsEndpoint> {
  await loosen();
  const { stores, store } = await makeStores();
  const app = buildApp({ logger: false, stores });
  app.addHook('onSend', async (request, reply, payload) => {
    const isLost = request.raw.socket.destroyed && reply.statusCode === 200;
    if (isLost && actionOf(request.headers) === 'ReceiveMessage')
      takeBackUnread(store, request.body as SqsRequest, String(payload));
    return payload;
  });
  const faults = addFaults(app);
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
    ...faults,
    close: () => app.close(),
  };
}
