import { parseArgs } from 'node:util';
import { isExact } from '../../chaos/history.js';
import {
  startApacheKafka,
  startKafkaForProcesses,
  startServicebusForProcesses,
  startSqsForProcesses,
  type BrokerForProcesses,
} from '../process-brokers.js';
import { describeKills, runChaos } from './harness.js';

// `make chaos`: real processes under load and SIGKILLs, for as long as told or until so many are killed; ends with one line,
// and with 1 when it is not exact.
const { values } = parseArgs({
  options: {
    seconds: { type: 'string' },
    kills: { type: 'string' },
    clients: { type: 'string', default: '6' },
    bus: { type: 'string', default: 'postgres' },
  },
});

const BROKERS: Readonly<Record<string, () => Promise<BrokerForProcesses | null>>> = {
  postgres: () => Promise.resolve(null),
  // Apache Kafka where Java and its jars are, else the mock cluster.
  kafka: async () => {
    const real = await startApacheKafka();
    if (!('reason' in real)) return real;
    console.log(`no Apache Kafka: ${real.reason}`);
    return startKafkaForProcesses();
  },
  'kafka-mock': startKafkaForProcesses,
  sqs: startSqsForProcesses,
  servicebus: startServicebusForProcesses,
};
const startBroker = BROKERS[values.bus];
if (startBroker === undefined) throw new Error(`--bus is one of ${Object.keys(BROKERS).join(', ')}`);

const broker = await startBroker();
console.log(`bus ${values.bus}: ${broker?.text ?? 'PostgreSQL itself, with fsync'}`);
try {
  const { verdict, kills, audit, letters, sums, loadMs, drainMs, isDrained, reconciled } = await runChaos({
    seconds:
      values.seconds === undefined && values.kills !== undefined ? null : Number(values.seconds ?? 180),
    killsMax: Number(values.kills ?? Infinity),
    clients: Number(values.clients),
    pauseMs: [200, 900],
    broker,
    onProgress: (line) => console.log(line),
  });
  const killed = [...kills.values()].reduce((sum, count) => sum + count, 0);
  const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
  console.log(
    `${describeKills(kills)}; load ${seconds(loadMs)}, ${isDrained ? 'drain' : 'NOT DRAINED AFTER'} ${seconds(drainMs)}, reconciled ${String(reconciled)}`,
  );
  console.log(`sums of experience: ${JSON.stringify(sums)}`);
  for (const { role, reason, detail } of letters.slice(0, 10))
    console.log(`letter: ${role} ${reason} ${detail}`);
  console.log(
    `sent ${String(verdict.sent)}, acknowledged ${String(verdict.acknowledged)}, processes killed ${String(killed)}: ` +
      `lost ${String(verdict.lost.length)}, doubled ${String(verdict.doubled.length)}, unexpected ${String(verdict.unexpected.length)}, ` +
      `dead letters ${String(letters.length)}, differences in the audit ${String(audit.differences.length)}`,
  );
  const isAgreed = Object.values(sums).every((sum) => sum === sums.ledger);
  const isGood = isExact(verdict) && letters.length === 0 && audit.differences.length === 0 && isAgreed;
  process.exitCode = isGood ? 0 : 1;
} finally {
  await broker?.close();
}
