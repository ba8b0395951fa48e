import { systemClock } from '../kernel/clock.js';
import { systemRandom } from '../kernel/random.js';
import { createKafkaBus, type KafkaBusOptions, type KafkaConnection } from '../bus/kafka.js';
import { JOINED } from '../bus/kafka-subscription.js';
import type { Bus } from '../bus/port.js';
import type { Logger } from '../runtime/port.js';
import { MOCK_PARTITIONS, type KafkaBroker } from './kafka-broker.js';
import { startKafkaProxy, type KafkaProxy } from './kafka-proxy.js';
import { eventually } from './eventually.js';
import { quietLogger } from './quiet.js';

export const kafkaDefaults = {
  clock: systemClock,
  random: systemRandom,
  logger: quietLogger,
  maxAttempts: 3,
  backoff: { baseMs: 1, capMs: 4 },
  deadLetters: { put: () => Promise.resolve() },
  // The mock cluster lets a group wait 3 s for more members, and takes no session that is not longer than that.
  sessionTimeoutMs: 5_000,
  heartbeatMs: 100,
  fetchWaitMs: 100,
  publishTimeoutMs: 15_000,
} satisfies Partial<KafkaBusOptions>;

export const plain = (brokers: readonly string[]): KafkaConnection => ({ brokers, isTls: false, sasl: null });

/** A topic of its own, a network that can fail and one that does not. */
export interface KafkaBench {
  readonly topic: string;
  /** Between `open` and the cluster. */
  readonly proxy: KafkaProxy;
  /** Addresses that `proxy` does not touch. */
  readonly brokers: readonly string[];
  open(more?: Partial<KafkaBusOptions>): Bus;
  /** Another process, whose network does not fail. */
  openDirect(more?: Partial<KafkaBusOptions>): Bus;
  close(): Promise<void>;
}

/**
 * Subscribing ends here when the member has joined. The mock cluster refuses what members commit while their group is shared
 * out anew (Apache Kafka does not), so a member that came later would have others do their work twice.
 */
function joinCounter(logger: Logger): Logger & { afterJoin<T>(subscribe: () => Promise<T>): Promise<T> } {
  let joins = 0;
  return {
    ...logger,
    info: (fields, text) => {
      if (text === JOINED) joins += 1;
      logger.info(fields, text);
    },
    afterJoin: async (subscribe) => {
      const before = joins;
      const subscription = await subscribe();
      await eventually('the member has joined', () => joins > before);
      return subscription;
    },
  };
}

let topics = 0;

export async function kafkaBench(cluster: KafkaBroker): Promise<KafkaBench> {
  const topic = `test-${String(process.pid)}-${String(Date.now())}-${String((topics += 1))}`;
  await cluster.makeTopic(topic, MOCK_PARTITIONS);
  // Both ways lead through proxies: the mock cluster needs one to be understood.
  const [proxy, direct] = [await startKafkaProxy(cluster.brokers), await startKafkaProxy(cluster.brokers)];
  const buses: Bus[] = [];
  const openAt = (brokers: readonly string[], more: Partial<KafkaBusOptions> = {}): Bus => {
    const logger = joinCounter(more.logger ?? kafkaDefaults.logger);
    const bus = createKafkaBus({ ...kafkaDefaults, topic, ...more, logger, kafka: plain(brokers) });
    buses.push(bus);
    return { ...bus, subscribe: (role, handler) => logger.afterJoin(() => bus.subscribe(role, handler)) };
  };
  return {
    topic,
    proxy,
    brokers: direct.brokers,
    open: (more) => openAt(proxy.brokers, more),
    openDirect: (more) => openAt(direct.brokers, more),
    close: async () => {
      await Promise.all(buses.map((bus) => bus.close()));
      await proxy.close();
      await direct.close();
    },
  };
}
