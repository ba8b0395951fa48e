import { afterAll, describe } from '@jest/globals';
import { kafkaBench } from '../testkit/kafka-bench.js';
import { startKafkaBroker, whyNoKafka } from '../testkit/kafka-broker.js';
import { busContract } from './contract.js';

const missing = whyNoKafka();
if (missing !== null) console.warn(`The contract is not tested on Kafka: ${missing}.`);
const cluster = missing === null ? await startKafkaBroker() : null;
afterAll(() => cluster?.stop());

(cluster === null ? describe.skip : describe)('on a cluster', () => {
  busContract({
    name: 'kafka',
    isConcurrent: true,
    makeBus: async (settings) => {
      const bench = await kafkaBench(cluster!);
      return {
        bus: bench.open(settings),
        second: async () => bench.openDirect(settings),
        outage: bench.proxy,
        loseReply: bench.proxy.loseReply,
        close: bench.close,
      };
    },
  });
});
