import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createKafkaOperator } from '../pkg/bus/kafka-operator.js';
import { createSqsOperator } from '../pkg/bus/sqs-operator.js';
import { SESSION_COUNT } from '../pkg/bus/servicebus-message.js';
import { DEFAULT_MAX_ATTEMPTS } from '../pkg/bus/deliver.js';
import { systemClock as clock } from '../pkg/kernel/clock.js';
import { ROLES } from '../pkg/kernel/roles.js';
import { MOCK_PARTITIONS, startKafkaBroker, whyNoKafka } from '../pkg/testkit/kafka-broker.js';
import { startKafkaProxy } from '../pkg/testkit/kafka-proxy.js';
import { quietLogger as logger } from '../pkg/testkit/quiet.js';
import { ServicebusDouble } from '../pkg/testkit/servicebus/double.js';
import { startSqsEndpoint } from '../pkg/testkit/sqs-endpoint.js';
import { serveQuestions } from './children.js';

/** The process that a bus is spoken to in, `bus-engine.js kafka|sqs|servicebus`: it takes nothing from who is measured. */
export type EngineQuestion = { readonly kind: 'about' } | { readonly kind: 'make'; readonly name: string };

export interface EngineFacts {
  /** null: there is none here. */
  readonly address: string | null;
  /** What it is and how it is divided; or why there is none. */
  readonly text: string;
}

interface Engine extends EngineFacts {
  /** A topic or queues with nothing in them. */
  make(name: string): Promise<unknown>;
}

/** The default of KAFKA_PARTITIONS. */
const PARTITIONS = 32;

async function kafka(): Promise<Engine> {
  const real = fork('scripts/kafka-broker.mjs');
  const [told] = (await once(real, 'message')) as [{ brokers?: string; name?: string; reason?: string }];
  if (told.brokers === undefined) return mockOfKafka(told.reason ?? '');
  const brokers = told.brokers.split(',');
  const connection = { brokers, isTls: false, sasl: null };
  return {
    address: told.brokers,
    text: `${told.name ?? ''}, ${String(PARTITIONS)} partitions`,
    make: async (topic) => {
      const own = { kafka: connection, topic, partitions: PARTITIONS, replication: 1 };
      const operator = createKafkaOperator({ ...own, clock, logger });
      await operator.create();
      await operator.close();
    },
  };
}

async function mockOfKafka(whyNotReal: string): Promise<Engine> {
  const missing = whyNoKafka();
  if (missing !== null) {
    const text = `no Apache Kafka: ${whyNotReal}; no mock cluster: ${missing}`;
    return { address: null, text, make: () => Promise.resolve() };
  }
  const cluster = await startKafkaBroker();
  process.once('exit', () => void cluster.stop());
  // The mock cluster needs the proxy to be understood.
  const proxy = await startKafkaProxy(cluster.brokers);
  return {
    address: proxy.brokers.join(','),
    text: `a mock cluster in memory and no Apache Kafka: ${whyNotReal}; ${String(MOCK_PARTITIONS)} partitions`,
    make: (topic) => cluster.makeTopic(topic, MOCK_PARTITIONS),
  };
}

async function sqs(): Promise<Engine> {
  const endpoint = await startSqsEndpoint();
  return {
    address: endpoint.url,
    text: 'an SQS endpoint in memory (fauxqs), one FIFO queue for each of four roles, a group for each of 500 players',
    make: async (name) => {
      const operator = createSqsOperator({ sqs: endpoint.client, name, maxAttempts: DEFAULT_MAX_ATTEMPTS });
      await operator.create();
      await operator.close();
    },
  };
}

async function servicebus(): Promise<Engine> {
  const double = await ServicebusDouble.start();
  return {
    address: `Endpoint=sb://127.0.0.1:${String(double.port)};SharedAccessKeyName=a;SharedAccessKey=b;UseDevelopmentEmulator=true;`,
    text: `our double of the service, an AMQP 1.0 server in memory, four subscriptions of ${String(SESSION_COUNT)} sessions`,
    make: async (name) => double.addTopic(name, ROLES),
  };
}

const engines: Readonly<Record<string, () => Promise<Engine>>> = { kafka, sqs, servicebus };
const { address, text, make } = await engines[process.argv[2] ?? '']!();

serveQuestions(async (question: EngineQuestion) => {
  if (question.kind === 'about') return { address, text };
  await make(question.name);
  return { address, name: question.name };
});
