import { afterAll, describe, expect, test } from '@jest/globals';
import kafkajs from 'kafkajs';
import { systemClock } from '../kernel/clock.js';
import { OutageError } from '../kernel/errors.js';
import { ok, retry } from '../kernel/outcome.js';
import { drained, eachOwnPlayer, gate, message, numbered, receive } from '../testkit/bus-bench.js';
import { eventually } from '../testkit/eventually.js';
import { kafkaBench, kafkaDefaults, type KafkaBench } from '../testkit/kafka-bench.js';
import { MOCK_PARTITIONS, startKafkaBroker, whyNoKafka } from '../testkit/kafka-broker.js';
import { quietLogger } from '../testkit/quiet.js';
import type { Bus } from './port.js';

const missing = whyNoKafka();
if (missing !== null) process.stderr.write(`The Kafka driver is not tested: ${missing}.\n`); // Jest keeps the console of skipped files to itself
const cluster = missing === null ? await startKafkaBroker() : null;
afterAll(() => cluster?.stop());

/** Side by side: a mock cluster takes three seconds to let a member join. */
const onTopic = (title: string, run: (bench: KafkaBench) => Promise<void>): void =>
  (cluster === null ? test.skip : test.concurrent)(title, async () => {
    const bench = await kafkaBench(cluster!);
    try {
      await run(bench);
    } finally {
      await bench.close();
    }
  });

const succeeds = (what: string, attempt: () => Promise<void>): Promise<void> =>
  eventually(`${what} succeeds`, () =>
    attempt().then(
      () => true,
      () => false,
    ),
  );

const waitingOf = async (bus: Bus): Promise<number> => (await bus.lag('archive')).waiting;

/** The group's offsets as an operator sees them. */
async function committed({ brokers, topic }: KafkaBench): Promise<number> {
  const admin = new kafkajs.Kafka({ brokers: [...brokers], logLevel: kafkajs.logLevel.NOTHING }).admin();
  await admin.connect();
  const groups = await admin.fetchOffsets({ groupId: `${topic}-archive`, topics: [topic] });
  await admin.disconnect();
  return groups
    .flatMap(({ partitions }) => partitions)
    .reduce((sum, { offset }) => sum + Math.max(0, Number(offset)), 0);
}

describe('the Kafka driver', () => {
  onTopic(
    'brokers that are silent are given up in time, and publishing goes on when they speak again',
    async (bench) => {
      const bus = bench.open({ publishTimeoutMs: 500, askTimeoutMs: 500 });
      await succeeds('publishing', () => bus.publish([message('before')]));
      bench.proxy.silence(true);
      const calls = await Promise.allSettled([
        bus.publish([message('lost')]),
        bus.publish([message('lost')]),
        bus.ping(),
      ]);
      for (const call of calls)
        expect(call).toMatchObject({ status: 'rejected', reason: { name: 'OutageError' } });
      bench.proxy.silence(false);
      await succeeds('publishing', () => bus.publish([message('after')]));
      await succeeds('asking', () => bus.ping());
    },
  );

  onTopic('callers beyond the bounded queue are refused, all others are durable', async (bench) => {
    const bus = bench.open({ queueMax: 10 });
    const results = await Promise.allSettled(Array.from({ length: 50 }, () => bus.publish([message('x')])));
    const refused = results.filter((result) => result.status === 'rejected');
    expect(refused.length).toBeGreaterThan(0);
    for (const { reason } of refused) expect(reason).toBeInstanceOf(OutageError);
    expect(await waitingOf(bus)).toBe(50 - refused.length);
  });

  onTopic(
    'a call that is larger than what a broker takes at once arrives whole and in order',
    async (bench) => {
      const bus = bench.open();
      const sent = Array.from({ length: 60 }, (_, n) => message(`${String(n)} ${'x'.repeat(60_000)}`));
      await bus.publish(sent);
      const got = await receive(bus, 'archive');
      await drained(bus, 'archive');
      expect(got.bodies()).toEqual(sent.map(({ body }) => body));
    },
  );

  onTopic(
    'rows 31, 49: a member that is silent too long settles nothing more, another has its batch',
    async (bench) => {
      const { opened, open } = gate();
      const [silent, other] = [bench.open(), bench.openDirect()];
      const first = await receive(silent, 'archive', () => opened.then(() => ok));
      const sent = numbered(20, eachOwnPlayer);
      await other.publish(sent);
      await eventually('a batch is in hand', () => first.deliveries.length > 0);
      bench.proxy.silence(true);
      const second = await receive(other, 'archive');
      await eventually('another has the batch', async () => (await waitingOf(other)) === 0);
      expect(new Set(second.bodies())).toEqual(new Set(sent.map(({ body }) => body)));
      expect(await committed(bench)).toBe(20);
      bench.proxy.silence(false);
      open();
      await silent.close();
      expect(await committed(bench)).toBe(20);
      await other.publish([message('after')]);
      await eventually('the role goes on', () => second.bodies().includes('after'));
    },
  );

  onTopic(
    'a handler that takes longer than the session lasts keeps its member in the group',
    async (bench) => {
      const bus = bench.open();
      const got = await receive(bus, 'archive', () =>
        systemClock.sleep(kafkaDefaults.sessionTimeoutMs + 1_500).then(() => ok),
      );
      await bus.publish([message('slow')]);
      await drained(bus, 'archive');
      expect(got.bodies()).toEqual(['slow']);
    },
  );

  onTopic('only the settled beginning of a partition is committed', async (bench) => {
    const bus = bench.open({ backoff: { baseMs: 60_000, capMs: 60_000 } });
    const got = await receive(bus, 'archive', ({ body }) =>
      body === 'n-3' ? retry(new Error('not yet')) : ok,
    );
    await bus.publish(numbered(10));
    await eventually('it asks for a retry', () => got.bodies().includes('n-3'));
    await got.close();
    expect(await committed(bench)).toBe(3);
    expect(await waitingOf(bus)).toBe(7);
  });

  onTopic(
    'offsets that the topic does not have raise an alarm, and reading begins with the oldest message',
    async (bench) => {
      const errors: string[] = [];
      const resets: string[] = [];
      const bus = bench.open({
        logger: { ...quietLogger, error: (_, text) => void errors.push(text) },
        onOffsetReset: (role) => void resets.push(role),
      });
      await bus.publish([message('here')]);
      await commitBeyond(bench);
      const got = await receive(bus, 'archive');
      await eventually('it is read', () => got.bodies().includes('here'));
      expect(resets).toContain('archive');
      expect(errors[0]).toMatch(/goes on with the oldest/);
      await drained(bus, 'archive');
    },
  );

  onTopic('a role that is not one of the bus cannot subscribe', async (bench) => {
    const bus = bench.open({ roles: ['archive'] });
    await expect(bus.subscribe('fairness', async () => [])).rejects.toMatchObject({ code: 'unknown_role' });
  });
});

/** Leaves the group with offsets that no partition has. It reads another topic meanwhile, or it would set them right itself. */
async function commitBeyond({ brokers, topic }: KafkaBench): Promise<void> {
  const aside = `${topic}-aside`;
  await cluster!.makeTopic(aside, MOCK_PARTITIONS);
  const kafka = new kafkajs.Kafka({ brokers: [...brokers], logLevel: kafkajs.logLevel.NOTHING });
  const consumer = kafka.consumer({
    groupId: `${topic}-archive`,
    sessionTimeout: 5_000,
    maxWaitTimeInMs: 100,
  });
  await consumer.connect();
  await consumer.subscribe({ topics: [aside] });
  await consumer.run({ autoCommit: false, eachBatch: () => Promise.resolve() });
  const partitions = Array.from({ length: MOCK_PARTITIONS }, (_, partition) => partition);
  await consumer.commitOffsets(partitions.map((partition) => ({ topic, partition, offset: '1000' })));
  await consumer.disconnect();
}
