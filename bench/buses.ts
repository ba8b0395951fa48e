import type { RoleName } from '../pkg/kernel/roles.js';
import type { Bench } from './bench.js';
import type { EngineFacts, EngineQuestion } from './bus-engine.js';
import type { BusName, Done, SideQuestion } from './bus-side.js';
import { busVisible } from './bus-visible.js';
import type { Place } from './bus-way.js';
import { startChild, type Child } from './children.js';
import { median, perSecond, type Figure } from './figure.js';
import { freshDatabase } from './servers.js';

/** Even: each side begins as often as the other. */
const ROUNDS = 4;
/** Of the round that warms up. */
const WARM_PART = 0.25;
const [SIDE_CORE, ENGINE_CORE] = [0, 1];
const GOAL = { kind: 'atLeast', value: 0.7, unit: '' } as const;

/** What is done of each bus on both sides, and what it is compared with. */
interface Plan {
  readonly calls: number;
  readonly perCall: number;
  readonly inFlight: number;
  /** The limit, in a word or two. */
  readonly sdk: string;
  readonly publishing: string;
  readonly consuming: string;
  env(place: Place): Readonly<Record<string, string>>;
}

const PLANS: Readonly<Record<BusName, Plan>> = {
  kafka: {
    calls: 40,
    perCall: 500,
    inFlight: 1,
    sdk: 'kafkajs',
    publishing: 'idempotent producer, acks of all, one send in flight',
    consuming:
      'one member of a group; the driver commits batches of 500 gathered from all partitions one after another, kafkajs up to 500 of a partition, partitions side by side',
    env: ({ address, name }) => ({ BUS: 'kafka', BUS_NAME: name, KAFKA_BROKERS: address }),
  },
  sqs: {
    calls: 20,
    perCall: 100,
    inFlight: 3,
    sdk: 'the AWS SDK',
    publishing:
      'requests of ten, to the archive’s queue and then to the three others; an event counts once it is in all four',
    consuming: 'one queue; 40 receives of ten in flight, deleted by tens',
    env: ({ address, name }) => ({
      BUS: 'sqs',
      BUS_NAME: name,
      SQS_ENDPOINT: address,
      AWS_REGION: 'eu-test-1',
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
    }),
  },
  servicebus: {
    calls: 12,
    perCall: 500,
    inFlight: 1,
    sdk: 'the Azure SDK',
    publishing: 'a batch for each session of a call, side by side',
    consuming: 'one subscription; 32 sessions held at once, each message completed',
    env: ({ address, name }) => ({
      BUS: 'servicebus',
      BUS_NAME: name,
      SERVICEBUS_CONNECTION_STRING: address,
    }),
  },
  postgres: {
    calls: 30,
    perCall: 500,
    inFlight: 1,
    sdk: 'raw statements',
    publishing:
      'the limit is one INSERT ... SELECT FROM unnest of the same rows per call, with places given and nothing locked',
    consuming:
      'the limit reads up to 16 rows of each lane and moves all cursors, two statements per batch; its batches shrink when lanes run out, so it can be passed',
    env: () => ({ BUS: 'postgres' }),
  },
};

/** Each bus beside its bare SDK, doing the same batches in turns; then from 202 to the board over it. */
export async function buses(bench: Bench): Promise<readonly Figure[]> {
  const figures: Figure[] = [];
  for (const bus of Object.keys(PLANS) as BusName[]) figures.push(...(await measure(bench, bus)));
  return figures;
}

interface Engine extends EngineFacts {
  make(name: string): Promise<Place>;
  stop(): Promise<void>;
}

async function measure(bench: Bench, bus: BusName): Promise<Figure[]> {
  const engine = bus === 'postgres' ? postgresEngine(bench) : await startEngine(bus);
  try {
    if (engine.address === null) {
      bench.tell(`${bus}: not measured: ${engine.text}`);
      return [];
    }
    const figures = await beside(bench, bus, engine);
    bench.tell(`${bus}: 202 to visible`);
    const env = PLANS[bus].env(await engine.make('visible'));
    return [...figures, await busVisible(bench, bus, env)];
  } finally {
    await engine.stop();
  }
}

async function startEngine(bus: BusName): Promise<Engine> {
  const child = await startChild('bus-engine.js', [bus], ENGINE_CORE);
  const about: EngineQuestion = { kind: 'about' };
  const facts = await child.ask<EngineFacts>(about);
  const make = (name: string): Promise<Place> => {
    const question: EngineQuestion = { kind: 'make', name };
    return child.ask<Place>(question);
  };
  return { ...facts, make, stop: () => child.stop() };
}

/** A database for each round. */
function postgresEngine(bench: Bench): Engine {
  return {
    address: '',
    text: 'PostgreSQL with fsync on, 32 lanes',
    make: async (name) => {
      const { url, close } = await freshDatabase((await bench.servers()).postgres, 1);
      await close();
      return { address: url, name };
    },
    stop: () => Promise.resolve(),
  };
}

interface Side {
  readonly name: string;
  readonly child: Child;
  /** Each reads a copy of its own of what both have published. */
  readonly role: RoleName;
  readonly published: Done[];
  readonly consumed: Done[];
}

async function beside(bench: Bench, bus: BusName, engine: Engine): Promise<Figure[]> {
  const startSide = async (name: string, role: RoleName): Promise<Side> => {
    const child = await startChild('bus-side.js', [bus, name], SIDE_CORE, bench.nodeArgs);
    return { name, child, role, published: [], consumed: [] };
  };
  const driver = await startSide('driver', 'leaderboard');
  const bare = await startSide('bare', 'fairness');
  try {
    // All before the first: an engine is busy with a new topic for a while.
    const places: Place[] = [];
    while (places.length <= ROUNDS) places.push(await engine.make(`round-${String(places.length)}`));
    for (const [round, place] of places.entries()) {
      const sides = round % 2 === 0 ? [driver, bare] : [bare, driver];
      await runRound(bus, place, sides, round === 0);
      if (round === 0) continue;
      const last = (ours: readonly Done[], limits: readonly Done[]): string =>
        (rate(ours.at(-1)) / rate(limits.at(-1))).toFixed(2);
      bench.tell(
        `${bus}: round ${String(round)} of ${String(ROUNDS)}: published ${last(driver.published, bare.published)}, ` +
          `consumed ${last(driver.consumed, bare.consumed)}`,
      );
    }
  } finally {
    await Promise.all([driver.child.stop(), bare.child.stop()]);
  }
  const { sdk, publishing, consuming, perCall, inFlight } = PLANS[bus];
  const calls = `calls of ${String(perCall)}, ${String(inFlight)} in flight`;
  return [
    figure(
      `${bus}: publish`,
      sdk,
      driver.published,
      bare.published,
      `${engine.text}; ${calls}; ${publishing}`,
    ),
    figure(`${bus}: consume`, sdk, driver.consumed, bare.consumed, `${engine.text}; ${consuming}`),
  ];
}

/** Both publish to one place, then each reads all that is there. */
async function runRound(
  bus: BusName,
  place: Place,
  sides: readonly Side[],
  isWarmUp: boolean,
): Promise<void> {
  const { calls: all, perCall, inFlight } = PLANS[bus];
  const calls = Math.ceil(all * (isWarmUp ? WARM_PART : 1));
  for (const { name, child, published } of sides) {
    const run = `${place.name}/${name}`;
    const question: SideQuestion = { kind: 'publish', place, run, calls, perCall, inFlight };
    const done = await child.ask<Done>(question);
    if (!isWarmUp) published.push(done);
  }
  const events = sides.length * (calls + 1) * perCall;
  for (const { child, role, consumed } of sides) {
    const question: SideQuestion = { kind: 'consume', place, role, events };
    const done = await child.ask<Done>(question);
    if (!isWarmUp) consumed.push(done);
  }
}

const rate = (done: Done | undefined): number => (done?.events ?? NaN) / (done?.seconds ?? NaN);
const cpuOf = (all: readonly Done[]): number => median(all.map(({ cpuUs, events }) => cpuUs / events));

function figure(
  name: string,
  sdk: string,
  ours: readonly Done[],
  limits: readonly Done[],
  note: string,
): Figure {
  const [measured, limit] = [median(ours.map(rate)), median(limits.map(rate))];
  const [cpu, limitCpu] = [cpuOf(ours), cpuOf(limits)];
  return {
    name,
    measured: perSecond(measured, 'events'),
    limit: `${sdk} alone: ${perSecond(limit, 'events')}`,
    value: measured / limit,
    goal: GOAL,
    note:
      `${note}; processor time per event ${cpu.toFixed(1)} us against ${limitCpu.toFixed(1)} us ` +
      `(${(limitCpu / cpu).toFixed(2)})`,
  };
}
