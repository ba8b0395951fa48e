import { spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import kafkajs from 'kafkajs';
import { eventually } from './eventually.js';

/** A cluster that speaks Kafka's protocol. */
export interface KafkaBroker {
  readonly brokers: readonly string[];
  /** Whether it is Apache Kafka, and can do all that Apache Kafka can. */
  readonly isReal: boolean;
  makeTopic(topic: string, partitions: number): Promise<void>;
  stop(): Promise<void>;
}

const BOOTSTRAP = /bootstrap\.servers=(\S+)/;
/** What the mock cluster gives every topic. */
export const MOCK_PARTITIONS = 4;

/** `KAFKA_TEST_BROKERS` names an Apache Kafka that tests may fill with topics; without it there is the mock cluster of kcat. */
const REAL_BROKERS = process.env['KAFKA_TEST_BROKERS'] ?? '';

/** null: there is one. */
export function whyNoKafka(): string | null {
  if (REAL_BROKERS !== '') return null;
  const kcat = spawnSync('kcat', ['-V'], { encoding: 'utf8' });
  return kcat.status === 0 ? null : 'kcat is not installed (Debian: apt-get install kafkacat)';
}

/** The cluster that tests of this run use. The caller stops it. */
export async function startKafkaBroker(): Promise<KafkaBroker> {
  return REAL_BROKERS === '' ? startMockCluster() : realKafka(REAL_BROKERS.split(','));
}

/** librdkafka's mock cluster of three brokers. It lives as long as kcat waits for something to produce. */
async function startMockCluster(): Promise<KafkaBroker> {
  const options = ['-X', 'test.mock.num.brokers=3', '-d', 'mock'];
  const child = spawn('kcat', ['-P', '-b', 'none', '-t', 'boot', ...options], {
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  // It says something of every request: what is not read on would make it stop.
  const lines = createInterface({ input: child.stderr });
  const brokers = await new Promise<string[]>((resolve, reject) => {
    lines.on('line', (line) => {
      const found = BOOTSTRAP.exec(line)?.[1];
      if (found !== undefined) resolve(found.split(','));
    });
    void ended.then(() => reject(new Error('kcat ended before its mock cluster was there')));
  });
  return {
    brokers,
    isReal: false,
    makeTopic: async (topic) => {
      // Its topics are made by being asked for.
      const made = spawn('kcat', ['-L', '-b', brokers.join(','), '-t', topic], { stdio: 'ignore' });
      await new Promise((resolve) => made.once('close', resolve));
    },
    stop: () => {
      child.kill('SIGKILL');
      return ended;
    },
  };
}

function realKafka(brokers: readonly string[]): KafkaBroker {
  return {
    brokers,
    isReal: true,
    makeTopic: async (topic, partitions) => {
      const admin = new kafkajs.Kafka({ brokers: [...brokers], logLevel: kafkajs.logLevel.NOTHING }).admin();
      await admin.connect();
      try {
        await admin.createTopics({ waitForLeaders: false, topics: [{ topic, numPartitions: partitions }] });
        // A broker that is told of its new partitions last refuses what comes earlier.
        await eventually(`${topic} has leaders`, () =>
          admin.fetchTopicOffsets(topic).then(
            (offsets) => offsets.length === partitions,
            () => false,
          ),
        );
      } finally {
        await admin.disconnect();
      }
    },
    stop: () => Promise.resolve(),
  };
}
