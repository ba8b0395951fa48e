import {
  ChangeMessageVisibilityBatchCommand,
  DeleteMessageBatchCommand,
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  SQSClient,
  type BatchResultErrorEntry,
  type QueueAttributeName,
} from '@aws-sdk/client-sqs';
import { OutageError } from '../kernel/errors.js';
import type { RoleName } from '../kernel/roles.js';
import { fromWire, type HeldMessage, type WireMessage } from './sqs-message.js';

export interface SqsEngine {
  /** null: SQS at AWS, in the region that the SDK finds. */
  readonly endpoint: string | null;
  /** Where the SDK is not to look for them itself. */
  readonly region?: string;
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string };
}

/** SQS takes no more in one request. */
export const ENTRIES_MAX = 10;
/** Tries of one request inside the SDK, which pauses between them and knows what is worth another. */
export const REQUEST_TRIES = 3;
const REQUEST_TIMEOUT_MS = 3_000;
const CONNECT_TIMEOUT_MS = 2_000;
const SOCKETS_MAX = 256;

export const queueNameOf = (name: string, role: RoleName | `${RoleName}-dead`): string =>
  `${name}-${role}.fifo`;

export function openSqs({ endpoint, region, credentials }: SqsEngine): SQSClient {
  return new SQSClient({
    ...(endpoint === null ? {} : { endpoint }),
    ...(region === undefined ? {} : { region }),
    ...(credentials === undefined ? {} : { credentials }),
    maxAttempts: REQUEST_TRIES,
    requestHandler: {
      connectionTimeout: CONNECT_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      throwOnRequestTimeout: true,
      httpAgent: { maxSockets: SOCKETS_MAX },
      httpsAgent: { maxSockets: SOCKETS_MAX },
    },
  });
}

/** An entry of a request that was itself accepted. */
export interface FailedEntry {
  /** Its place in what was sent. */
  readonly index: number;
  /** It would fail again: the message is at fault, not the moment. */
  readonly isRefused: boolean;
  readonly cause: Error;
}

export interface QueueCounts {
  /** Messages not yet deleted, whether somebody has them in hand or not. SQS counts approximately. */
  readonly waiting: number;
  readonly createdAtMs: number;
  readonly retentionMs: number;
}

/** One role's queue: the requests that a bus makes, whatever number of messages they are about. All reject with OutageError. */
export class SqsQueue {
  #url: Promise<string> | null = null;

  constructor(
    private readonly client: SQSClient,
    readonly name: string,
  ) {}

  /** @param messages at most ENTRIES_MAX @returns those that SQS did not take */
  async send(messages: readonly WireMessage[]): Promise<FailedEntry[]> {
    const QueueUrl = await this.url();
    const Entries = messages.map(({ entry }, index) => ({ ...entry, Id: String(index) }));
    const { Failed } = await asked(this.client.send(new SendMessageBatchCommand({ QueueUrl, Entries })));
    return (Failed ?? []).map(failedEntry);
  }

  /**
   * @param max at most ENTRIES_MAX
   * @param waitSeconds how long SQS may wait for the first, at most 20
   */
  async receive(
    max: number,
    waitSeconds: number,
    visibilitySeconds: number,
    abortSignal: AbortSignal,
  ): Promise<HeldMessage[]> {
    const command = new ReceiveMessageCommand({
      QueueUrl: await this.url(),
      MaxNumberOfMessages: max,
      WaitTimeSeconds: waitSeconds,
      VisibilityTimeout: visibilitySeconds,
      MessageSystemAttributeNames: ['MessageGroupId', 'SequenceNumber', 'SentTimestamp'],
      MessageAttributeNames: ['All'],
    });
    const requestTimeout = waitSeconds * 1_000 + REQUEST_TIMEOUT_MS;
    const { Messages } = await asked(this.client.send(command, { abortSignal, requestTimeout }));
    return (Messages ?? []).map(fromWire);
  }

  /** @returns those that are still there */
  remove(messages: readonly HeldMessage[]): Promise<HeldMessage[]> {
    return inTens(messages, async (ten) => {
      const QueueUrl = await this.url();
      const Entries = ten.map(({ receiptHandle }, index) => ({
        Id: String(index),
        ReceiptHandle: receiptHandle,
      }));
      return this.client.send(new DeleteMessageBatchCommand({ QueueUrl, Entries }));
    });
  }

  /** Lets others have them now. The last first: while one of a player is in hand, SQS gives nobody an earlier or later one. */
  async giveBack(messages: readonly HeldMessage[]): Promise<void> {
    const lastFirst = [...messages].reverse();
    for (let n = 0; n < lastFirst.length; n += ENTRIES_MAX)
      await this.hide(lastFirst.slice(n, n + ENTRIES_MAX), 0);
  }

  /** Hides them for so long from now on. @returns those that are not in flight any more */
  hide(messages: readonly HeldMessage[], seconds: number): Promise<HeldMessage[]> {
    return inTens(messages, async (ten) => {
      const QueueUrl = await this.url();
      const Entries = ten.map(({ receiptHandle }, index) => ({
        Id: String(index),
        ReceiptHandle: receiptHandle,
        VisibilityTimeout: seconds,
      }));
      return this.client.send(new ChangeMessageVisibilityBatchCommand({ QueueUrl, Entries }));
    });
  }

  async counts(): Promise<QueueCounts> {
    const AttributeNames: QueueAttributeName[] = [
      'ApproximateNumberOfMessages',
      'ApproximateNumberOfMessagesNotVisible',
      'ApproximateNumberOfMessagesDelayed',
      'CreatedTimestamp',
      'MessageRetentionPeriod',
    ];
    const command = new GetQueueAttributesCommand({ QueueUrl: await this.url(), AttributeNames });
    const { Attributes = {} } = await asked(this.client.send(command));
    const [visible, inFlight, delayed, createdSeconds, retentionSeconds] = AttributeNames.map((name) =>
      Number(Attributes[name] ?? 0),
    ) as [number, number, number, number, number];
    const waiting = visible + inFlight + delayed;
    return { waiting, createdAtMs: createdSeconds * 1_000, retentionMs: retentionSeconds * 1_000 };
  }

  /** Asks SQS whether the queue is there. */
  async ping(abortSignal: AbortSignal): Promise<void> {
    await asked(this.client.send(new GetQueueUrlCommand({ QueueName: this.name }), { abortSignal }));
  }

  /** Asked once; what failed is asked again. */
  private url(): Promise<string> {
    this.#url ??= this.askUrl().catch((error: unknown) => {
      this.#url = null;
      throw error;
    });
    return this.#url;
  }

  private async askUrl(): Promise<string> {
    const { QueueUrl } = await asked(this.client.send(new GetQueueUrlCommand({ QueueName: this.name })));
    if (QueueUrl === undefined) throw new OutageError('SQS', new Error(`${this.name} has no address`));
    return QueueUrl;
  }
}

/** Requests of ten, side by side. Rejects when one fails as a whole, after all have ended. */
async function inTens(
  messages: readonly HeldMessage[],
  request: (ten: readonly HeldMessage[]) => Promise<{ Failed?: BatchResultErrorEntry[] | undefined }>,
): Promise<HeldMessage[]> {
  const tens: HeldMessage[][] = [];
  for (let n = 0; n < messages.length; n += ENTRIES_MAX) tens.push(messages.slice(n, n + ENTRIES_MAX));
  const answers = await Promise.allSettled(tens.map((ten) => asked(request(ten))));
  return answers.flatMap((answer, n) => {
    if (answer.status === 'rejected') throw answer.reason;
    return (answer.value.Failed ?? []).flatMap(({ Id }) => tens[n]?.[Number(Id)] ?? []);
  });
}

async function asked<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw new OutageError('SQS', error);
  }
}

/** SQS calls it the sender's fault, too, when the sender or its key service is too fast. */
const OF_THE_MOMENT = /throttl|kms|limit/i;

function failedEntry({ Id, Code, Message, SenderFault }: BatchResultErrorEntry): FailedEntry {
  return {
    index: Number(Id),
    isRefused: SenderFault === true && !OF_THE_MOMENT.test(Code ?? ''),
    cause: new Error(`${Code ?? 'unknown'}: ${Message ?? ''}`),
  };
}
