import { describe, expect, test } from '@jest/globals';
import kafkajs from 'kafkajs';
import { OutageError } from '../kernel/errors.js';
import { drained, eachOwnPlayer, numbered, receive } from '../testkit/bus-bench.js';
import { kafkaBench, kafkaDefaults, plain, type KafkaBench } from '../testkit/kafka-bench.js';
import { startKafkaBroker, whyNoKafka } from '../testkit/kafka-broker.js';
import { createKafkaOperator, type KafkaOperatorOptions } from './kafka-operator.js';
import type { BusOperator, TopologyItem } from './operator.js';

const operatorOn = (brokers: readonly string[], more: Partial<KafkaOperatorOptions> = {}): BusOperator =>
  createKafkaOperator({
    ...kafkaDefaults,
    kafka: plain(brokers),
    topic: 'none',
    partitions: 4,
    replication: 1,
    ...more,
  });

test('an operator of a cluster that is away says so', async () => {
  const operator = operatorOn(['127.0.0.1:9']);
  await expect(operator.check()).rejects.toBeInstanceOf(OutageError);
  await expect(operator.create()).rejects.toBeInstanceOf(OutageError);
  await operator.close();
});

// The mock cluster knows nothing of topics' settings and of groups' members: `make test-kafka` runs these.
const cluster = whyNoKafka() === null ? await startKafkaBroker() : null;
if (cluster?.isReal !== true) await cluster?.stop();
else
  describe('an operator of Apache Kafka', () => {
    const onBench = (title: string, run: (bench: KafkaBench) => Promise<void>): void =>
      test(title, async () => {
        const bench = await kafkaBench(cluster);
        try {
          await run(bench);
        } finally {
          await bench.close();
        }
      });
    const wrongOf = (items: readonly TopologyItem[]): readonly string[] =>
      items
        .filter(({ isRight, resource }) => !isRight && resource !== 'brokers')
        .map(({ setting }) => setting);

    onBench('a topic is made as it should be, once', async ({ brokers, topic }) => {
      const operator = operatorOn(brokers, { topic: `${topic}-new` });
      expect(wrongOf(await operator.check())).toEqual(['exists']);
      expect(await operator.create()).toEqual([{ resource: `topic ${topic}-new`, result: 'made' }]);
      const items = await operator.check();
      expect(wrongOf(items)).toEqual([]);
      expect(items.map(({ setting }) => setting)).toContain('offsets.retention.minutes');
      expect(await operator.create()).toEqual([{ resource: `topic ${topic}-new`, result: 'was_right' }]);
      await operator.close();
    });

    onBench('settings that differ are set, and those of others stay', async ({ brokers, topic }) => {
      const admin = new kafkajs.Kafka({ brokers: [...brokers], logLevel: kafkajs.logLevel.NOTHING }).admin();
      await admin.connect();
      const type = kafkajs.ConfigResourceTypes.TOPIC;
      const configEntries = [
        { name: 'segment.ms', value: '777000' },
        { name: 'retention.ms', value: '60000' },
      ];
      await admin.alterConfigs({ validateOnly: false, resources: [{ type, name: topic, configEntries }] });
      const operator = operatorOn(brokers, { topic, partitions: 6 });
      expect(wrongOf(await operator.check())).toEqual(expect.arrayContaining(['partitions', 'retention.ms']));
      expect(await operator.create()).toEqual([
        expect.objectContaining({
          result: 'cannot_change',
          byHand: expect.stringContaining('--partitions 6'),
        }),
        { resource: `topic ${topic}`, result: 'changed' },
      ]);
      expect(wrongOf(await operator.check())).toEqual(['partitions']);
      const { resources } = await admin.describeConfigs({
        includeSynonyms: false,
        resources: [{ type, name: topic, configNames: ['segment.ms'] }],
      });
      expect(resources[0]?.configEntries[0]?.configValue).toBe('777000');
      await admin.disconnect();
      await operator.close();
    });

    onBench('roles read again what was published since an instant, once nobody is joined', async (bench) => {
      const { brokers, topic } = bench;
      const operator = operatorOn(brokers, { topic });
      await operator.create();
      const bus = bench.open();
      await bus.publish(numbered(20, eachOwnPlayer));
      const first = await receive(bus, 'archive');
      await drained(bus, 'archive');
      const instantMs = Date.now();
      await new Promise((resolve) => setTimeout(resolve, 50));
      await bus.publish(numbered(30, (n) => ({ playerId: `p-${String(n)}`, body: `again-${String(n)}` })));
      await drained(bus, 'archive');
      await expect(operator.rewind?.(instantMs, ['archive'])).rejects.toMatchObject({
        code: 'roles_running',
      });
      await first.close();
      await expect(operator.rewind?.(instantMs - 15 * 86_400_000, ['archive'])).rejects.toMatchObject({
        code: 'not_kept',
      });
      expect(await operator.rewind?.(instantMs, ['archive', 'fairness'])).toEqual([
        { role: 'archive', moved: expect.any(Number), messages: 30 },
        { role: 'fairness', moved: 0, messages: 0 },
      ]);
      expect((await bus.lag('archive')).waiting).toBe(30);
      expect((await bus.lag('fairness')).waiting).toBe(50);
      const second = await receive(bus, 'archive');
      await drained(bus, 'archive');
      expect(new Set(second.bodies())).toEqual(new Set(numbered(30).map((_, n) => `again-${String(n)}`)));
      await operator.close();
    });

    onBench('a topic that is not there is an outage, and is not made by asking for it', async (bench) => {
      const topic = `${bench.topic}-missing`;
      const bus = bench.open({ topic, publishTimeoutMs: 500, askTimeoutMs: 500 });
      await expect(bus.ping()).rejects.toBeInstanceOf(OutageError);
      await expect(bus.publish(numbered(1))).rejects.toBeInstanceOf(OutageError);
      const operator = operatorOn(bench.brokers, { topic });
      expect(wrongOf(await operator.check())).toEqual(['exists']);
      await operator.close();
    });
  });
