import { test } from '@jest/globals';
import { startKafkaBroker, whyNoKafka } from './kafka-broker.js';
import { seasonOnBus } from './season-on-bus.js';

const reason = whyNoKafka();
if (reason !== null) test.skip(`the season over Kafka (${reason})`, () => undefined);
else
  seasonOnBus('kafka', async () => {
    const broker = await startKafkaBroker();
    await broker.makeTopic('season-events', 8);
    return {
      env: { BUS: 'kafka', BUS_NAME: 'season-events', KAFKA_BROKERS: broker.brokers.join(',') },
      close: () => broker.stop(),
    };
  });
