import { startSqsForProcesses } from './process-brokers.js';
import { seasonOnBus } from './season-on-bus.js';

seasonOnBus('sqs', startSqsForProcesses);
