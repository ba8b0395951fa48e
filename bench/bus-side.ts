import type { RoleName } from '../pkg/kernel/roles.js';
import { callsOf } from './bus-messages.js';
import type { Place, Way } from './bus-way.js';
import { serveQuestions } from './children.js';

/** The process that is measured: it publishes and consumes one way, `bus-side.js <bus> driver|bare`. */
export type SideQuestion =
  | {
      readonly kind: 'publish';
      readonly place: Place;
      /** Of which message ids are made. */
      readonly run: string;
      /** One more is sent before the clock starts. */
      readonly calls: number;
      readonly perCall: number;
      readonly inFlight: number;
    }
  | {
      readonly kind: 'consume';
      readonly place: Place;
      readonly role: RoleName;
      /** How many there are. */
      readonly events: number;
    };

/** What was done between two looks at the clock. */
export interface Done {
  readonly events: number;
  readonly seconds: number;
  readonly cpuUs: number;
}

export type BusName = 'kafka' | 'sqs' | 'servicebus' | 'postgres';

const wayOf = async (bus: BusName, side: string): Promise<Way> => {
  const ways = {
    kafka: () => import('./bus-kafka.js'),
    sqs: () => import('./bus-sqs.js'),
    servicebus: () => import('./bus-servicebus.js'),
    postgres: () => import('./bus-postgres.js'),
  };
  const { driver, bare } = await ways[bus]();
  return side === 'driver' ? driver : bare;
};

const [, , bus, side = ''] = process.argv;
const way = await wayOf(bus as BusName, side);

const look = (): { atMs: number; cpuUs: number } => {
  const { user, system } = process.cpuUsage();
  return { atMs: performance.now(), cpuUs: user + system };
};
type Look = ReturnType<typeof look>;

const doneBetween = (events: number, from: Look, to: Look): Done => ({
  events,
  seconds: (to.atMs - from.atMs) / 1000,
  cpuUs: to.cpuUs - from.cpuUs,
});

async function publish(question: SideQuestion & { kind: 'publish' }): Promise<Done> {
  const { place, run, calls, perCall, inFlight } = question;
  const publisher = await way.publisher(place, callsOf(run, calls + 1, perCall));
  await publisher.send(0);
  let next = 1;
  const sendAll = async (): Promise<void> => {
    while (next <= calls) await publisher.send(next++);
  };
  const from = look();
  await Promise.all(Array.from({ length: inFlight }, sendAll));
  const done = doneBetween(calls * perCall, from, look());
  await publisher.close();
  return done;
}

/** From the first batch to the last one coming in: what came before the last one is settled by then, or about to be. */
async function consume({ place, role, events }: SideQuestion & { kind: 'consume' }): Promise<Done> {
  let taken = 0;
  let first: Look | null = null;
  let last: { readonly before: number; readonly at: Look } | null = null;
  let allTaken = (): void => undefined;
  const ended = new Promise<void>((resolve) => (allTaken = resolve));
  const reading = await way.consume(place, role, (count) => {
    first ??= look();
    const before = taken;
    taken += count;
    if (taken < events) return;
    last ??= { before, at: look() };
    allTaken();
  });
  await ended;
  await reading.close();
  return doneBetween(last!.before, first!, last!.at);
}

serveQuestions((question: SideQuestion) =>
  question.kind === 'publish' ? publish(question) : consume(question),
);
