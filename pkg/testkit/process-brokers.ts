import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createKafkaOperator } from '../bus/kafka-operator.js';
import { createSqsOperator } from '../bus/sqs-operator.js';
import { systemClock } from '../kernel/clock.js';
import { ROLES } from '../kernel/roles.js';
import { MOCK_PARTITIONS, startKafkaBroker } from './kafka-broker.js';
import { startKafkaProxy } from './kafka-proxy.js';
import { quietLogger } from './quiet.js';
import { ServicebusDouble } from './servicebus/double.js';
import { startSqsEndpoint, type SqsEndpoint } from './sqs-endpoint.js';

/** A broker with topics or queues of its own, for whole processes. */
export interface BrokerForProcesses {
  /** What it is, for people who read what was measured on it. */
  readonly text: string;
  /** What the processes' environment needs: BUS and its fellows. */
  readonly env: Readonly<Record<string, string>>;
  /** What a reader in this process is given, where `env` speaks to the SDK itself. */
  readonly sqs?: SqsEndpoint['client'];
  /** A gateway that dies between its steps leaves some roles without a copy: workers find that, a quarter of an hour later. */
  readonly publishesInSteps?: true;
  /** Lets the time pass at once that the engine gives a reader who fell silent, where that is long. */
  forgetReaders?(): void;
  /** SIGKILL and a new start on the same files; only where there are files. */
  crash?(): Promise<void>;
  close(): Promise<void>;
}

/** The broker that tests of this run use: Apache Kafka where it is named, else the mock cluster, in memory. */
export async function startKafkaForProcesses(): Promise<BrokerForProcesses> {
  const cluster = await startKafkaBroker();
  const topic = `processes-${String(process.pid)}-${String(systemClock.now())}`;
  await cluster.makeTopic(topic, MOCK_PARTITIONS);
  // The mock cluster needs one to be understood.
  const proxy = await startKafkaProxy(cluster.brokers);
  return {
    text: cluster.isReal ? 'Apache Kafka' : 'the mock cluster of librdkafka, in memory',
    env: { BUS: 'kafka', BUS_NAME: topic, KAFKA_BROKERS: proxy.brokers.join(',') },
    close: async () => {
      await proxy.close();
      await cluster.stop();
    },
  };
}

const PARTITIONS = 16;

type ToldByBroker =
  { readonly brokers: string; readonly name: string; readonly isOurs?: true } | { readonly reason: string };

/** The brokers that KAFKA_BROKERS names, else one of our own, which can be killed; or why there is none. */
export async function startApacheKafka(): Promise<BrokerForProcesses | { readonly reason: string }> {
  const child = fork('scripts/kafka-broker.mjs');
  const next = async <Message>(): Promise<Message> => ((await once(child, 'message')) as [Message])[0];
  const ended = once(child, 'exit');
  const close = async (): Promise<void> => {
    if (child.connected) child.disconnect();
    await ended;
  };
  const crash = async (): Promise<void> => {
    child.send('crash');
    await next();
  };
  const told = await next<ToldByBroker>();
  if ('reason' in told) {
    await close();
    return told;
  }
  const name = `processes-${String(process.pid)}-${String(systemClock.now())}`;
  const kafka = { brokers: told.brokers.split(','), isTls: false, sasl: null };
  const own = { topic: name, partitions: PARTITIONS, replication: 1 };
  const operator = createKafkaOperator({ kafka, ...own, clock: systemClock, logger: quietLogger });
  await operator.create();
  await operator.close();
  return {
    text: `${told.name}, ${String(PARTITIONS)} partitions`,
    env: { BUS: 'kafka', BUS_NAME: name, KAFKA_BROKERS: told.brokers },
    ...(told.isOurs === true ? { crash } : {}),
    close,
  };
}

export async function startSqsForProcesses(): Promise<BrokerForProcesses> {
  const endpoint = await startSqsEndpoint();
  const name = 'process-events';
  const operator = createSqsOperator({ sqs: endpoint.client, name, maxAttempts: 5 });
  await operator.create();
  await operator.close();
  const { region, credentials } = endpoint.client;
  return {
    text: 'an SQS endpoint in memory (fauxqs)',
    env: {
      BUS: 'sqs',
      BUS_NAME: name,
      SQS_ENDPOINT: endpoint.url,
      AWS_REGION: region,
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    },
    sqs: endpoint.client,
    publishesInSteps: true,
    forgetReaders: () => endpoint.expire(),
    close: () => endpoint.close(),
  };
}

export async function startServicebusForProcesses(): Promise<BrokerForProcesses> {
  const double = await ServicebusDouble.start();
  const name = 'process-events';
  double.addTopic(name, ROLES);
  return {
    text: 'our double of Azure Service Bus: an AMQP 1.0 server, in memory',
    env: {
      BUS: 'servicebus',
      BUS_NAME: name,
      SERVICEBUS_CONNECTION_STRING: `Endpoint=sb://127.0.0.1:${String(double.port)};SharedAccessKeyName=a;SharedAccessKey=b;UseDevelopmentEmulator=true;`,
    },
    close: () => double.close(),
  };
}
