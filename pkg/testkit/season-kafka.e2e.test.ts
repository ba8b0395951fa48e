import { test } from '@jest/globals';
import { MOCK_PARTITIONS, startKafkaBroker, whyNoKafka } from './kafka-broker.js';
import { startKafkaProxy } from './kafka-proxy.js';
import { seasonOnBus } from './season-on-bus.js';

const missing = whyNoKafka();
if (missing !== null) test.skip(`the season over Kafka (${missing})`, () => undefined);
else
  seasonOnBus('kafka', async () => {
    const cluster = await startKafkaBroker();
    const topic = `season-${String(process.pid)}-${String(Date.now())}`;
    await cluster.makeTopic(topic, MOCK_PARTITIONS);
    // The mock cluster needs one to be understood.
    const proxy = await startKafkaProxy(cluster.brokers);
    return {
      env: { BUS: 'kafka', BUS_NAME: topic, KAFKA_BROKERS: proxy.brokers.join(',') },
      close: async () => {
        await proxy.close();
        await cluster.stop();
      },
    };
  });
