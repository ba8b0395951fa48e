import type { Consumer } from 'kafkajs';
import type { RoleName } from '../kernel/roles.js';
import type { BackoffRule } from './backoff.js';
import { keepMembership } from './membership.js';
import { openKafka, type KafkaClient, type KafkaConnection } from './kafka-client.js';
import { Desk, type DeskOptions } from './kafka-desk.js';
import type { Subscription } from './port.js';

export interface SubscriptionOptions extends DeskOptions {
  readonly kafka: KafkaConnection;
  readonly groupId: string;
  /** A member that is not heard of for so long is taken for dead, and its partitions go to others. */
  readonly sessionTimeoutMs: number;
  /** A fetch waits so long for messages, and so does closing. */
  readonly fetchWaitMs: number;
  readonly onOffsetReset?: ((role: RoleName) => void) | undefined;
}

/** What is logged when a role begins to read. */
export const JOINED = 'the role has joined its group';

const REJOIN: BackoffRule = { baseMs: 100, capMs: 5_000 };
const LEAVE_TIMEOUT_MS = 5_000;
/** Of one answer; together with the number of brokers the bound on what a member holds unread. */
const FETCH_BYTES_MAX = 4 * 1024 * 1024;
const FETCH_PARTITION_BYTES_MAX = 1024 * 1024;
/** Partitions that may offer messages at once. */
const PARTITIONS_AT_ONCE = 64;

/** One member of a role's group: joins, works, and joins again by itself, as a new member, whatever the client ended of. */
export function startSubscription(options: SubscriptionOptions): Subscription {
  const onErrorText = 'the topic cannot be read: the role joins again';
  return keepMembership({ ...options, rejoin: REJOIN, onErrorText }, (closing, onJoin) =>
    beMember(options, closing, onJoin),
  );
}

/** From joining to closing; rejects when the client gave up. */
async function beMember(
  options: SubscriptionOptions,
  closing: AbortSignal,
  onJoin: () => void,
): Promise<void> {
  const { role, logger, sessionTimeoutMs, onOffsetReset } = options;
  const client = openKafka({
    kafka: options.kafka,
    requestTimeoutMs: sessionTimeoutMs,
    logger,
    onOffsetReset: (partition) => {
      onOffsetReset?.(role);
      logger.error(
        { role, partition },
        'the topic no longer has the message that the role would read next: it goes on with the oldest there is',
      );
    },
  });
  const consumer = makeConsumer(client, options);
  const desk = new Desk(options);
  const over = new Promise<void>((resolve, reject) => {
    closing.addEventListener('abort', () => resolve(), { once: true });
    consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error));
  });
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    desk.joined();
    onJoin();
    logger.info({ role, partitions: payload.memberAssignment[options.topic] ?? [] }, JOINED);
  });
  try {
    await Promise.race([over, run(consumer, desk, options.topic)]);
    await over;
  } finally {
    await leave(client, consumer, desk, options);
  }
}

function makeConsumer({ kafka }: KafkaClient, options: SubscriptionOptions): Consumer {
  return kafka.consumer({
    groupId: options.groupId,
    sessionTimeout: options.sessionTimeoutMs,
    heartbeatInterval: options.heartbeatMs,
    maxWaitTimeInMs: options.fetchWaitMs,
    maxBytes: FETCH_BYTES_MAX,
    maxBytesPerPartition: FETCH_PARTITION_BYTES_MAX,
    allowAutoTopicCreation: false,
    // A client that has crashed is not mended: a new member begins from what is committed.
    retry: { restartOnFailure: () => Promise.resolve(false) },
  });
}

async function run(consumer: Consumer, desk: Desk, topic: string): Promise<void> {
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  await consumer.run({
    autoCommit: false,
    eachBatchAutoResolve: false,
    partitionsConsumedConcurrently: PARTITIONS_AT_ONCE,
    eachBatch: (payload) => desk.take(payload),
  });
}

/** Finishes the batch in hand, leaves the group as far as it answers, and breaks what is left of the connections. */
async function leave(
  client: KafkaClient,
  consumer: Consumer,
  desk: Desk,
  { role, clock, logger }: SubscriptionOptions,
): Promise<void> {
  // It fetches no more from here on, and waits for what the desk holds.
  const disconnected = consumer.disconnect().catch((error: unknown) => {
    logger.debug({ role, err: error }, 'the group was not left in good order');
  });
  await desk.close();
  const isAnswered = new AbortController();
  await Promise.race([disconnected, clock.sleep(LEAVE_TIMEOUT_MS, isAnswered.signal)]);
  isAnswered.abort();
  client.destroy();
}
