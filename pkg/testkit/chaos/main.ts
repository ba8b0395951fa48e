import { parseArgs } from 'node:util';
import { isExact } from '../../chaos/history.js';
import { LOAD_KINDS } from '../../chaos/plan.js';
import { systemRandom } from '../../kernel/random.js';
import {
  startApacheKafka,
  startKafkaForProcesses,
  startServicebusForProcesses,
  startSqsForProcesses,
  type BrokerForProcesses,
} from '../process-brokers.js';
import { CHORES } from './chores.js';
import { describeKills, runChaos } from './harness.js';

// `make chaos`: real processes under load and SIGKILLs, for as long as told or until so many are killed; ends with one line,
// and with 1 when it is not exact.
const { values } = parseArgs({
  options: {
    seconds: { type: 'string' },
    kills: { type: 'string' },
    clients: { type: 'string', default: '6' },
    bus: { type: 'string', default: 'postgres' },
    seed: { type: 'string', default: String(Math.floor(systemRandom.unit() * 1_000_000)) },
  },
});

const SHOWN_MAX = 10;

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
console.log(`bus ${values.bus}: ${broker?.text ?? 'PostgreSQL itself, with fsync'}; seed ${values.seed}`);
try {
  const result = await runChaos({
    seconds:
      values.seconds === undefined && values.kills !== undefined ? null : Number(values.seconds ?? 180),
    killsMax: Number(values.kills ?? Infinity),
    clients: Number(values.clients),
    clientPauseMs: 0,
    pauseMs: [200, 900],
    choreEveryMs: [500, 4_000],
    seed: Number(values.seed),
    broker,
    onProgress: (line) => console.log(line),
  });
  const { verdict, kills, chores, audit, letters, sums, did } = result;
  const killed = [...kills.values()].reduce((sum, count) => sum + count, 0);
  const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
  const listed = <Kind extends string>(kinds: readonly Kind[], count: (kind: Kind) => number): string =>
    kinds.map((kind) => `${kind} ${String(count(kind))}`).join(', ');
  console.log(
    `${describeKills(kills)}; load ${seconds(result.loadMs)}, ` +
      `${result.isDrained ? 'drain' : 'NOT DRAINED AFTER'} ${seconds(result.drainMs)}, reconciled ${String(result.reconciled)}`,
  );
  console.log(`load: ${listed(LOAD_KINDS, did)}`);
  console.log(
    `meanwhile: ${listed(CHORES, (chore) => chores.done.get(chore) ?? 0)}; cut off and begun again ${String(chores.cutOff)}, ` +
      `hidden at the end ${String(result.hiddenPlayers)}`,
  );
  console.log(`sums of experience: ${JSON.stringify(sums)}`);
  for (const { reason, letters: count } of letters) console.log(`letters: ${reason} ${String(count)}`);
  for (const [name, keys] of Object.entries({
    lost: verdict.lost,
    doubled: verdict.doubled,
    unexpected: verdict.unexpected,
  }))
    if (keys.length > 0) console.log(`${name}: ${keys.slice(0, SHOWN_MAX).join(' ')}`);
  for (const difference of audit.differences.slice(0, SHOWN_MAX)) console.log(JSON.stringify(difference));
  for (const text of chores.madeAgain) console.log(`MADE AGAIN by rebuild truth:\n${text}`);
  console.log(
    `sent ${String(verdict.sent)}, acknowledged ${String(verdict.acknowledged)}, processes killed ${String(killed)}: ` +
      `lost ${String(verdict.lost.length)}, doubled ${String(verdict.doubled.length)}, unexpected ${String(verdict.unexpected.length)}, ` +
      `differences in the audit ${String(audit.differences.length)}`,
  );
  const isAgreed =
    [sums.progress, sums.board].every((sum) => sum === sums.ledger) && sums.served === sums.shown;
  const isWhole = result.isDrained && audit.isComplete && audit.unread.length === 0;
  const isGood =
    isExact(verdict) &&
    audit.differences.length === 0 &&
    isAgreed &&
    isWhole &&
    chores.madeAgain.length === 0;
  process.exitCode = isGood ? 0 : 1;
} finally {
  await broker?.close();
}
