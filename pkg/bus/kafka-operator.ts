import kafkajs from 'kafkajs';
import type { Admin } from 'kafkajs';
import type { Clock } from '../kernel/clock.js';
import type { Logger } from '../runtime/port.js';
import { KafkaAdmin } from './kafka-admin.js';
import type { KafkaConnection } from './kafka-client.js';
import { rewindRoles } from './kafka-rewind.js';
import type { BusOperator, Created, TopologyItem } from './operator.js';

export interface KafkaOperatorOptions {
  readonly kafka: KafkaConnection;
  readonly topic: string;
  /** Of a new topic. More of them later would move players between partitions while events wait, so that is not done. */
  readonly partitions: number;
  readonly replication: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** An admin call may wait for the group coordinator's first rebalance (3 s) and for a new topic's leaders. */
const ASK_TIMEOUT_MS = 60_000;
const LOOK_EVERY_MS = 100;
const LOOKS_MAX = 100;
const RETENTION_MS = 14 * 24 * 3_600_000;
const OFFSETS_RETENTION = 'offsets.retention.minutes';

/** What an operator does with the topic. Events that roles have not read within its 14 days are lost to them. */
export function createKafkaOperator(options: KafkaOperatorOptions): BusOperator {
  const { topic } = options;
  const admin = new KafkaAdmin({ ...options, timeoutMs: ASK_TIMEOUT_MS });
  return {
    check: () => admin.ask((asked) => checkAll(asked, options)),
    create: () =>
      admin.ask(async (asked) => {
        const found = await findTopic(asked, topic);
        if (found === null) {
          const made = await makeTopic(asked, options);
          if (made.result === 'made') await untilListed(asked, options);
          return [made];
        }
        return [...wrongShape(found, options), await setConfig(asked, options)];
      }),
    rewind: (toMs, roles) =>
      admin.ask((asked) => rewindRoles(asked, topic, { toMs, nowMs: options.clock.now(), roles })),
    close: () => Promise.resolve(admin.close()),
  };
}

/** `min.insync.replicas`: one replica less than there are may be away before publishing is refused. */
const settingsOf = ({ replication }: KafkaOperatorOptions): Readonly<Record<string, string>> => ({
  'cleanup.policy': 'delete',
  'max.message.bytes': '1048588',
  // The brokers' clock decides what is 14 days old: a gateway whose clock is wrong would have its messages deleted.
  'message.timestamp.type': 'LogAppendTime',
  'min.insync.replicas': replication === 1 ? '1' : '2',
  'retention.bytes': '-1',
  'retention.ms': String(RETENTION_MS),
  'unclean.leader.election.enable': 'false',
});

interface Shape {
  readonly partitions: number;
  /** Of the partition with the fewest. */
  readonly replication: number;
}

/** null: there is no such topic. */
async function findTopic(admin: Admin, topic: string): Promise<Shape | null> {
  const names = await admin.listTopics();
  if (!names.includes(topic)) return null;
  const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
  const partitions = topics.flatMap((one) => one.partitions);
  return {
    partitions: partitions.length,
    replication: Math.min(...partitions.map(({ replicas }) => replicas.length)),
  };
}

/** A broker lists a topic a moment after another one has made it: whoever checks next is to find it. */
async function untilListed(admin: Admin, { topic, clock }: KafkaOperatorOptions): Promise<void> {
  for (let look = 1; look < LOOKS_MAX && (await findTopic(admin, topic)) === null; look += 1)
    await clock.sleep(LOOK_EVERY_MS);
}

async function checkAll(admin: Admin, options: KafkaOperatorOptions): Promise<TopologyItem[]> {
  const resource = `topic ${options.topic}`;
  const found = await findTopic(admin, options.topic);
  const exists: TopologyItem = {
    resource,
    setting: 'exists',
    expected: 'yes',
    found: found === null ? null : 'yes',
    isRight: found !== null,
  };
  const offsets = await checkOffsetsRetention(admin);
  if (found === null) return [exists, offsets];
  const config = await topicConfig(admin, options.topic);
  const same = (setting: string, expected: string, is: string | null): TopologyItem => ({
    resource,
    setting,
    expected,
    found: is,
    isRight: is === expected,
  });
  return [
    exists,
    // A topic may have more than was asked for when it was made.
    {
      ...same('partitions', String(options.partitions), String(found.partitions)),
      isRight: found.partitions >= options.partitions,
    },
    same('replication', String(options.replication), String(found.replication)),
    ...Object.entries(settingsOf(options)).map(([name, value]) =>
      same(name, value, config.get(name)?.value ?? null),
    ),
    offsets,
  ];
}

/** A role that was off for longer than its offsets are kept would begin again with the oldest message there is. */
async function checkOffsetsRetention(admin: Admin): Promise<TopologyItem> {
  const { brokers } = await admin.describeCluster();
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: brokers.map(({ nodeId }) => ({
      type: kafkajs.ConfigResourceTypes.BROKER,
      name: String(nodeId),
      configNames: [OFFSETS_RETENTION],
    })),
  });
  const minutes = resources.flatMap(({ configEntries }) =>
    configEntries.map((entry) => Number(entry.configValue)),
  );
  const least = minutes.length === 0 ? null : Math.min(...minutes);
  const wanted = RETENTION_MS / 60_000;
  return {
    resource: 'brokers',
    setting: OFFSETS_RETENTION,
    expected: `${String(wanted)} or more`,
    found: least === null ? null : String(least),
    isRight: least !== null && least >= wanted,
  };
}

interface ConfigValue {
  readonly value: string;
  /** Set on the topic itself; false: what the brokers give it. */
  readonly isOwn: boolean;
}

async function topicConfig(admin: Admin, topic: string): Promise<Map<string, ConfigValue>> {
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: topic }],
  });
  const entries = resources.flatMap(({ configEntries }) => configEntries);
  return new Map(
    entries.map(({ configName, configValue, configSource }) => [
      configName,
      { value: configValue, isOwn: configSource === kafkajs.ConfigSource.TOPIC_CONFIG },
    ]),
  );
}

async function makeTopic(admin: Admin, options: KafkaOperatorOptions): Promise<Created> {
  const { topic, partitions, replication } = options;
  const resource = `topic ${topic}`;
  const settings = Object.entries(settingsOf(options));
  try {
    await admin.createTopics({
      waitForLeaders: true,
      topics: [
        {
          topic,
          numPartitions: partitions,
          replicationFactor: replication,
          configEntries: settings.map(([name, value]) => ({ name, value })),
        },
      ],
    });
    return { resource, result: 'made' };
  } catch (error) {
    if (!isDenied(error)) throw error;
    const config = settings.map(([name, value]) => `--config ${name}=${value}`).join(' ');
    const shape = `--partitions ${String(partitions)} --replication-factor ${String(replication)}`;
    return {
      resource,
      result: 'denied',
      byHand: `kafka-topics.sh ${bootstrap(options)} --create --topic ${topic} ${shape} ${config}`,
    };
  }
}

/** What a topic has for good as far as we are concerned. */
function wrongShape(found: Shape, options: KafkaOperatorOptions): Created[] {
  const { topic, partitions, replication } = options;
  const wrong: Created[] = [];
  if (found.partitions < partitions)
    wrong.push({
      resource: `topic ${topic}, partitions`,
      result: 'cannot_change',
      byHand: `when nothing waits: kafka-topics.sh ${bootstrap(options)} --alter --topic ${topic} --partitions ${String(partitions)}`,
    });
  if (found.replication !== replication)
    wrong.push({
      resource: `topic ${topic}, replication`,
      result: 'cannot_change',
      byHand: `kafka-reassign-partitions.sh ${bootstrap(options)} with ${String(replication)} replicas for each partition of ${topic}`,
    });
  return wrong;
}

async function setConfig(admin: Admin, options: KafkaOperatorOptions): Promise<Created> {
  const { topic } = options;
  const resource = `topic ${topic}`;
  const config = await topicConfig(admin, topic);
  const differing = Object.entries(settingsOf(options)).filter(
    ([name, value]) => config.get(name)?.value !== value,
  );
  if (differing.length === 0) return { resource, result: 'was_right' };
  // The request replaces everything that is set on the topic: what others have set there is said again.
  const own = [...config].filter(([, { isOwn }]) => isOwn).map(([name, { value }]) => [name, value] as const);
  const all = new Map([...own, ...differing]);
  try {
    await admin.alterConfigs({
      validateOnly: false,
      resources: [
        {
          type: kafkajs.ConfigResourceTypes.TOPIC,
          name: topic,
          configEntries: [...all].map(([name, value]) => ({ name, value })),
        },
      ],
    });
    return { resource, result: 'changed' };
  } catch (error) {
    if (!isDenied(error)) throw error;
    const added = differing.map(([name, value]) => `${name}=${value}`).join(',');
    return {
      resource,
      result: 'denied',
      byHand: `kafka-configs.sh ${bootstrap(options)} --alter --topic ${topic} --add-config ${added}`,
    };
  }
}

const bootstrap = ({ kafka }: KafkaOperatorOptions): string =>
  `--bootstrap-server ${kafka.brokers.join(',')}`;

/** TOPIC_, CLUSTER_ or GROUP_AUTHORIZATION_FAILED, or POLICY_VIOLATION: a wish that another one may have granted. */
const isDenied = (error: unknown): boolean => {
  if (error instanceof kafkajs.KafkaJSAggregateError) return error.errors.some(isDenied);
  return (
    error instanceof kafkajs.KafkaJSProtocolError &&
    (error.type.endsWith('_AUTHORIZATION_FAILED') || error.type === 'POLICY_VIOLATION')
  );
};
