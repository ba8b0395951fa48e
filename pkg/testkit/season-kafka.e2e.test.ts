import { test } from '@jest/globals';
import { whyNoKafka } from './kafka-broker.js';
import { startKafkaForProcesses } from './process-brokers.js';
import { seasonOnBus } from './season-on-bus.js';

const missing = whyNoKafka();
if (missing !== null) test.skip(`the season over Kafka (${missing})`, () => undefined);
else seasonOnBus('kafka', startKafkaForProcesses);
