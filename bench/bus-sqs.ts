import {
  DeleteMessageBatchCommand,
  GetQueueUrlCommand,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  type SendMessageBatchRequestEntry,
  type SQSClient,
} from '@aws-sdk/client-sqs';
import { toWire } from '../pkg/bus/sqs-message.js';
import { ENTRIES_MAX, openSqs, queueNameOf, type SqsEngine } from '../pkg/bus/sqs-queue.js';
import { VISIBILITY_SECONDS } from '../pkg/bus/sqs-subscription.js';
import { createSqsBus } from '../pkg/bus/sqs.js';
import { ROLES, type RoleName } from '../pkg/kernel/roles.js';
import { driverWay, policy, type Place, type Way } from './bus-way.js';

const engine = ({ address }: Place): SqsEngine => ({
  endpoint: address,
  region: 'eu-test-1',
  credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
});

/** The driver has two batches of 200 in hand, and asks for one with twenty receives of ten. */
export const RECEIVES = 40;
/** Short: whoever closes waits for it. */
const WAIT_SECONDS = 1;

export const driver: Way = driverWay((place) =>
  createSqsBus({ ...policy, sqs: engine(place), name: place.name, waitSeconds: WAIT_SECONDS }),
);

/** The SDK with the same entries: tens to the archive's queue, each then to the other queues; receives of ten, each deleted as one. */
export const bare: Way = {
  publisher: async (place, calls) => {
    const client = openSqs(engine(place));
    const [first, ...others] = await Promise.all(ROLES.map((role) => urlOf(client, place, role)));
    const send = async (
      QueueUrl: string | undefined,
      Entries: SendMessageBatchRequestEntry[],
    ): Promise<void> => {
      const { Failed } = await client.send(new SendMessageBatchCommand({ QueueUrl, Entries }));
      if (Failed !== undefined && Failed.length > 0) throw new Error('an entry was refused');
    };
    const tens = calls.map((call) => inTens(call.map((message) => toWire(message).entry)));
    return {
      send: async (call) => {
        const sendTen = async (ten: SendMessageBatchRequestEntry[]): Promise<void> => {
          await send(first, ten);
          await Promise.all(others.map((url) => send(url, ten)));
        };
        await Promise.all((tens[call] ?? []).map(sendTen));
      },
      close: async () => client.destroy(),
    };
  },
  consume: async (place, role, onBatch) => {
    const client = openSqs(engine(place));
    const QueueUrl = await urlOf(client, place, role);
    let isClosed = false;
    const receive = async (): Promise<void> => {
      while (!isClosed) {
        const command = new ReceiveMessageCommand({
          QueueUrl,
          MaxNumberOfMessages: ENTRIES_MAX,
          WaitTimeSeconds: WAIT_SECONDS,
          VisibilityTimeout: VISIBILITY_SECONDS,
          MessageSystemAttributeNames: ['MessageGroupId', 'SequenceNumber', 'SentTimestamp'],
          MessageAttributeNames: ['All'],
        });
        const { Messages = [] } = await client.send(command, { requestTimeout: 5_000 });
        if (Messages.length === 0) continue;
        onBatch(Messages.length);
        const Entries = Messages.map(({ ReceiptHandle }, n) => ({ Id: String(n), ReceiptHandle }));
        await client.send(new DeleteMessageBatchCommand({ QueueUrl, Entries }));
      }
    };
    const ended = Promise.all(Array.from({ length: RECEIVES }, receive));
    return {
      close: async () => {
        isClosed = true;
        await ended;
        client.destroy();
      },
    };
  },
};

const urlOf = async (client: SQSClient, place: Place, role: RoleName): Promise<string | undefined> =>
  (await client.send(new GetQueueUrlCommand({ QueueName: queueNameOf(place.name, role) }))).QueueUrl;

function inTens(
  entries: readonly Omit<SendMessageBatchRequestEntry, 'Id'>[],
): SendMessageBatchRequestEntry[][] {
  return Array.from({ length: Math.ceil(entries.length / ENTRIES_MAX) }, (_, n) =>
    entries
      .slice(n * ENTRIES_MAX, (n + 1) * ENTRIES_MAX)
      .map((entry, index) => ({ ...entry, Id: String(index) })),
  );
}
