import { afterAll, describe } from '@jest/globals';
import { systemClock } from '../kernel/clock.js';
import { systemRandom } from '../kernel/random.js';
import { quietLogger } from '../testkit/quiet.js';
import { MOCK_PARTITIONS, startKafkaBroker, whyNoKafka } from '../testkit/kafka-broker.js';
import { startKafkaProxy } from '../testkit/kafka-proxy.js';
import { busContract } from './contract.js';
import { createKafkaBus, type KafkaBusOptions } from './kafka.js';
import type { Bus } from './port.js';

const common = {
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
  publishTimeoutMs: 5_000,
} satisfies Partial<KafkaBusOptions>;

const missing = whyNoKafka();
if (missing !== null) console.warn(`The tests of Kafka are skipped: ${missing}.`);

const cluster = missing === null ? await startKafkaBroker() : null;
afterAll(() => cluster?.stop());

let topics = 0;

(missing === null ? describe : describe.skip)('on a cluster', () => {
  busContract({
    name: 'kafka',
    isConcurrent: true,
    makeBus: async (settings) => {
      if (cluster === null) throw new Error('no cluster');
      const topic = `contract-${String(process.pid)}-${String((topics += 1))}`;
      await cluster.makeTopic(topic, MOCK_PARTITIONS);
      const proxy = await startKafkaProxy(cluster.brokers);
      const buses: Bus[] = [];
      const open = (brokers: readonly string[]): Bus => {
        const bus = createKafkaBus({
          ...common,
          ...settings,
          topic,
          kafka: { brokers, isTls: false, sasl: null },
        });
        buses.push(bus);
        return bus;
      };
      const direct = await startKafkaProxy(cluster.brokers);
      return {
        bus: open(proxy.brokers),
        second: async () => open(direct.brokers),
        outage: proxy,
        loseReply: proxy.loseReply,
        close: async () => {
          await Promise.all(buses.map((bus) => bus.close()));
          await proxy.close();
          await direct.close();
        },
      };
    },
  });
});
