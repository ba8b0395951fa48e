import { startServicebusForProcesses } from './process-brokers.js';
import { seasonOnBus } from './season-on-bus.js';

seasonOnBus('servicebus', startServicebusForProcesses);
