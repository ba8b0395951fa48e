import { FairtallyError } from '../kernel/errors.js';
import { ROLES, type RoleName } from '../kernel/roles.js';
import type { DeliveryPolicy } from './deliver.js';
import { KafkaAdmin } from './kafka-admin.js';
import type { KafkaConnection } from './kafka-client.js';
import { groupOf, KafkaLag } from './kafka-lag.js';
import { KafkaPublisher } from './kafka-publisher.js';
import { startSubscription } from './kafka-subscription.js';
import type { Bus, Subscription } from './port.js';

export type { KafkaConnection } from './kafka-client.js';

export interface KafkaBusOptions extends DeliveryPolicy {
  readonly kafka: KafkaConnection;
  readonly topic: string;
  /** Roles that may subscribe. Default: all. */
  readonly roles?: readonly RoleName[];
  /** Deliveries handed to a handler at once. */
  readonly batchMax?: number;
  /** Messages that may wait for the flush in flight. */
  readonly queueMax?: number;
  readonly publishTimeoutMs?: number;
  /** Of questions: lag and ping. */
  readonly askTimeoutMs?: number;
  /** A member that is not heard of for so long is taken for dead. */
  readonly sessionTimeoutMs?: number;
  readonly heartbeatMs?: number;
  readonly fetchWaitMs?: number;
  /** Called when messages were lost to a role because the topic kept them no longer, or the topic is another one. */
  readonly onOffsetReset?: (role: RoleName) => void;
}

const BATCH_MAX = 500;
const QUEUE_MAX = 10_000;
const PUBLISH_TIMEOUT_MS = 8_000;
const ASK_TIMEOUT_MS = 5_000;
const SESSION_TIMEOUT_MS = 10_000;
const HEARTBEAT_MS = 1_000;
const FETCH_WAIT_MS = 500;

/**
 * The bus on Kafka: one topic, a consumer group per role. A player's messages share a partition. What a role has settled
 * is committed after the handler's own commit, so that a crash between the two makes duplicates at most.
 */
export function createKafkaBus(options: KafkaBusOptions): Bus {
  const { kafka, topic, clock, logger, roles = ROLES } = options;
  const publisher = new KafkaPublisher({
    kafka,
    topic,
    clock,
    logger,
    queueMax: options.queueMax ?? QUEUE_MAX,
    timeoutMs: options.publishTimeoutMs ?? PUBLISH_TIMEOUT_MS,
  });
  const admin = new KafkaAdmin({ kafka, clock, logger, timeoutMs: options.askTimeoutMs ?? ASK_TIMEOUT_MS });
  const lag = new KafkaLag(admin, topic, () => clock.now());
  const subscriptions = new Set<Subscription>();
  let isClosed = false;

  return {
    publish: (messages) => publisher.publish(messages),
    subscribe: async (role, handler) => {
      if (isClosed) throw new FairtallyError('bus_closed', 'the bus is closed');
      if (!roles.includes(role)) throw new FairtallyError('unknown_role', `the bus has no role ${role}`);
      const subscription = startSubscription({
        ...options,
        role,
        handler,
        groupId: groupOf(topic, role),
        batchMax: options.batchMax ?? BATCH_MAX,
        sessionTimeoutMs: options.sessionTimeoutMs ?? SESSION_TIMEOUT_MS,
        heartbeatMs: options.heartbeatMs ?? HEARTBEAT_MS,
        fetchWaitMs: options.fetchWaitMs ?? FETCH_WAIT_MS,
      });
      subscriptions.add(subscription);
      return { close: () => subscription.close().finally(() => subscriptions.delete(subscription)) };
    },
    lag: (role) => lag.read(role),
    ping: async () => {
      await admin.ask((asked) => asked.fetchTopicMetadata({ topics: [topic] }));
    },
    close: async () => {
      isClosed = true;
      await Promise.all([
        publisher.close(),
        ...[...subscriptions].map((subscription) => subscription.close()),
      ]);
      admin.close();
    },
  };
}
