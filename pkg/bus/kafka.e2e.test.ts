import { afterAll, describe } from '@jest/globals';
import { kafkaBench } from '../testkit/kafka-bench.js';
import { startKafkaBroker, whyNoKafka } from '../testkit/kafka-broker.js';
import { busContract } from './contract.js';

const NOT_ON_THE_MOCK = [
  {
    case: 'a member that is cut off in the middle of a batch has it redelivered to another',
    reason:
      'its last step needs commits while a group is shared out anew, which the mock cluster refuses: make test-kafka has it, rows 31 and 49 have the rest',
  },
];

const missing = whyNoKafka();
if (missing !== null) process.stderr.write(`The contract is not tested on Kafka: ${missing}.\n`); // Jest keeps the console of skipped files to itself
const cluster = missing === null ? await startKafkaBroker() : null;
afterAll(() => cluster?.stop());

(cluster === null ? describe.skip : describe)('on a cluster', () => {
  busContract({
    name: 'kafka',
    isConcurrent: true,
    skip: cluster?.isReal === true ? [] : NOT_ON_THE_MOCK,
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
