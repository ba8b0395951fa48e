import kafkajs from 'kafkajs';
import { toRecord } from '../pkg/bus/kafka-record.js';
import { createKafkaBus, type KafkaConnection } from '../pkg/bus/kafka.js';
import { driverWay, policy, type Place, type Way } from './bus-way.js';

const connection = ({ address }: Place): KafkaConnection => ({
  brokers: address.split(','),
  isTls: false,
  sasl: null,
});

/** What the driver asks for. */
const FETCH = { maxWaitTimeInMs: 500, maxBytes: 4 * 1024 * 1024, maxBytesPerPartition: 1024 * 1024 };
const PARTITIONS_AT_ONCE = 64;
/** Of a commit. */
const BATCH_MAX = 500;

const open = (place: Place): kafkajs.Kafka =>
  new kafkajs.Kafka({ brokers: [...connection(place).brokers], logLevel: kafkajs.logLevel.NOTHING });

export const driver: Way = driverWay((place) =>
  createKafkaBus({ ...policy, kafka: connection(place), topic: place.name }),
);

/** kafkajs with the same records, partitions, acknowledgement and fetches: `send`, and `eachBatch` with a commit for 500 of a partition. */
export const bare: Way = {
  publisher: async (place, calls) => {
    const producer = open(place).producer({
      idempotent: true,
      maxInFlightRequests: 1,
      allowAutoTopicCreation: false,
      createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
    });
    await producer.connect();
    const records = calls.map((call) => call.map((message) => toRecord(message, Date.now()).record));
    return {
      send: async (call) => {
        await producer.send({ topic: place.name, acks: -1, messages: records[call] ?? [] });
      },
      close: () => producer.disconnect(),
    };
  },
  consume: async (place, role, onBatch) => {
    const consumer = open(place).consumer({ groupId: `bare-${role}`, ...FETCH });
    await consumer.connect();
    await consumer.subscribe({ topics: [place.name], fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      partitionsConsumedConcurrently: PARTITIONS_AT_ONCE,
      eachBatch: async ({ batch, resolveOffset, commitOffsetsIfNecessary }) => {
        for (let n = 0; n < batch.messages.length; n += BATCH_MAX) {
          const part = batch.messages.slice(n, n + BATCH_MAX);
          onBatch(part.length);
          const last = part[part.length - 1]!.offset;
          const partitions = [{ partition: batch.partition, offset: String(BigInt(last) + 1n) }];
          await commitOffsetsIfNecessary({ topics: [{ topic: place.name, partitions }] });
          resolveOffset(last);
        }
      },
    });
    return { close: () => consumer.disconnect() };
  },
};
