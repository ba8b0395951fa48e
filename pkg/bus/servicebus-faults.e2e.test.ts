import { expect, test } from '@jest/globals';
import { systemClock } from '../kernel/clock.js';
import { OutageError } from '../kernel/errors.js';
import { ok } from '../kernel/outcome.js';
import { systemRandom } from '../kernel/random.js';
import { ROLES } from '../kernel/roles.js';
import { Bench, drained, eachOwnPlayer, gate, message, numbered, receive } from '../testkit/bus-bench.js';
import type { BusSettings } from '../testkit/bus-bench.js';
import { eventually } from '../testkit/eventually.js';
import { quietLogger } from '../testkit/quiet.js';
import { ServicebusDouble } from '../testkit/servicebus/double.js';
import type { SubscriptionDouble } from '../testkit/servicebus/entities.js';
import { letGoOfForgottenTimers } from '../testkit/servicebus/forgotten-timers.js';
import { startTcpProxy, type TcpProxy } from '../testkit/tcp-proxy.js';
import type { Bus, DeadLetterSink } from './port.js';
import { createServicebusOperator } from './servicebus-operator.js';
import { createServicebusBus, type ServicebusBusOptions } from './servicebus.js';

letGoOfForgottenTimers();

const TOPIC = 'game-events';

/** A service of its own, and a network that can fail between it and what `start` opens. */
interface World {
  readonly double: ServicebusDouble;
  readonly proxy: TcpProxy;
  readonly bench: Bench;
  readonly archive: () => SubscriptionDouble;
  start(more?: Partial<ServicebusBusOptions>): Bus;
}

/** Side by side: most of the time they wait for locks and timeouts. */
const onService = (title: string, run: (world: World) => Promise<void>): void =>
  test.concurrent(title, async () => {
    const double = await ServicebusDouble.start();
    double.addTopic(TOPIC, ROLES);
    const proxy = await startTcpProxy(double.port);
    const bench = new Bench();
    const buses: Bus[] = [];
    const start: World['start'] = (more = {}) => {
      const bus = createServicebusBus({ ...defaults(proxy.port), ...bench.settings, ...more });
      buses.push(bus);
      return bus;
    };
    try {
      await run({ double, proxy, bench, archive: () => double.subscription(TOPIC, 'archive'), start });
    } finally {
      await Promise.all(buses.map((bus) => bus.close()));
      await proxy.close();
      await double.close();
    }
  });

const defaults = (port: number): Omit<ServicebusBusOptions, keyof BusSettings> => ({
  servicebus: {
    connectionString: `Endpoint=sb://127.0.0.1:${String(port)};SharedAccessKeyName=a;SharedAccessKey=b;UseDevelopmentEmulator=true;`,
    namespace: null,
  },
  name: TOPIC,
  clock: systemClock,
  random: systemRandom,
  logger: quietLogger,
  backoff: { baseMs: 1, capMs: 4 },
  acceptMs: 1_000,
});

/** With a short timeout on a slow machine more than one try may be needed. */
const published = (bus: Bus, body: string): Promise<void> =>
  eventually(`${body} is published`, async () =>
    bus.publish([message(body)]).then(
      () => true,
      () => false,
    ),
  );

onService(
  'row 31: what the service delivers again keeps its identity and place, and its attempts begin at 1',
  async ({ archive, start }) => {
    const bus = start({ sessionsMax: 1 }); // so that the other member is the one who has room
    const { opened, open } = gate();
    const first = await receive(bus, 'archive', () => opened.then(() => ok));
    await bus.publish([message('a')]);
    await eventually('it is in hand', () => first.deliveries.length === 1);
    archive().expireLocks();
    const second = await receive(start(), 'archive');
    await eventually('it is delivered again', () => second.deliveries.length === 1);
    expect(second.deliveries).toEqual(first.deliveries);
    expect(second.deliveries[0]?.attempt).toBe(1);
    open();
    await drained(bus, 'archive');
  },
);

onService(
  'row 49: with a lock that was lost nothing is settled: another member has the messages, the late outcome does no harm',
  async ({ bench, archive, start }) => {
    const bus = start({ sessionsMax: 1 }); // so that the other member is the one who has room
    const { opened, open } = gate();
    const first = await receive(bus, 'archive', () => opened.then(() => ok));
    await bus.publish(numbered(20));
    await eventually('a batch is in hand', () => first.deliveries.length > 0);
    const { opened: secondOpened, open: openSecond } = gate();
    const second = await receive(start(), 'archive', () => secondOpened.then(() => ok));
    archive().expireLocks();
    await eventually('the other member has them', () => second.deliveries.length > 0);
    open();
    await first.close(); // with what its batch came to
    expect((await bus.lag('archive')).waiting).toBe(20);
    openSecond();
    await drained(bus, 'archive');
    const bodies = new Set([...first.bodies(), ...second.bodies()]);
    expect(bodies.size).toBe(20);
    expect(bench.letters).toEqual([]);
    expect(archive().deadLetters).toEqual([]);
  },
);

onService(
  'row 49: the lock of a session is renewed for as long as its batch takes',
  async ({ double, archive, start }) => {
    double.addTopic(TOPIC, ROLES, { lockDurationMs: 3_000 });
    const bus = start();
    const { opened, open } = gate();
    const got = await receive(bus, 'archive', () => opened.then(() => ok));
    await bus.publish([message('slow')]);
    await eventually('it is in hand', () => got.deliveries.length > 0);
    await eventually('the lock was renewed twice', () => archive().renewals >= 2);
    open();
    await drained(bus, 'archive');
  },
);

onService(
  'row 48: tokens run out and are refused for a while: publishing and reading go on by themselves',
  async ({ double, start }) => {
    const bus = start({ publishTimeoutMs: 2_000 });
    const got = await receive(bus, 'archive');
    await published(bus, 'before');
    await drained(bus, 'archive');
    double.expireTokens(true);
    await expect(bus.publish([message('meanwhile')])).rejects.toBeInstanceOf(OutageError);
    double.acceptTokens();
    await published(bus, 'after');
    await eventually('reading goes on', () => got.bodies().includes('after'));
  },
);

onService(
  'row 48: every connection falls silent: publishing is answered in time, and all goes on by itself on new ones',
  async ({ double, proxy, start }) => {
    double.addTopic(TOPIC, ROLES, { lockDurationMs: 3_000 }); // what the silent connections hold must run out
    const bus = start({ publishTimeoutMs: 2_000 });
    const got = await receive(bus, 'archive');
    await published(bus, 'before');
    await drained(bus, 'archive');
    proxy.silence();
    await expect(bus.publish([message('lost')])).rejects.toBeInstanceOf(OutageError);
    await published(bus, 'after');
    await eventually('reading goes on', () => got.bodies().includes('after'));
  },
);

onService(
  'row 45: a topic that is not there is an outage, and all goes on when it is made',
  async ({ double, start }) => {
    const bus = start({ name: 'later' });
    const got = await receive(bus, 'archive');
    await expect(bus.publish([message('early')])).rejects.toBeInstanceOf(OutageError);
    await expect(bus.lag('archive')).rejects.toBeInstanceOf(OutageError);
    await expect(bus.ping()).rejects.toBeInstanceOf(OutageError);
    double.addTopic('later', ROLES);
    await bus.ping();
    await bus.publish([message('now')]);
    await eventually('it is read', () => got.bodies().includes('now'));
  },
);

onService(
  'row 46: callers beyond the bounded queue are refused at once, all others are stored',
  async ({ start }) => {
    const bus = start({ queueMax: 10 });
    const results = await Promise.allSettled(
      Array.from({ length: 30 }, (_, n) => bus.publish([message('x', eachOwnPlayer(n))])),
    );
    const refused = results.filter(({ status }) => status === 'rejected');
    expect(refused).toHaveLength(20);
    for (const result of refused) expect(result).toMatchObject({ reason: expect.any(OutageError) });
    expect((await bus.lag('archive')).waiting).toBe(10);
  },
);

onService('more than one batch carries goes with several, in the order of its player', async ({ start }) => {
  const bus = start();
  const got = await receive(bus, 'archive');
  const sent = Array.from({ length: 10 }, (_, n) => message(`${String(n)} ${'x'.repeat(60 * 1024)}`));
  await Promise.all([bus.publish(sent.slice(0, 6)), bus.publish(sent.slice(6))]);
  await drained(bus, 'archive');
  expect(got.bodies().map((body) => body.split(' ')[0])).toEqual(sent.map((_, n) => String(n)));
});

onService(
  'many players are read by a member that holds one session at a time, also beside one that never rests',
  async ({ start }) => {
    const bus = start({ sessionsMax: 1 });
    const read = new Set<string>();
    let isOver = false;
    await bus.subscribe('archive', async (batch) => {
      for (const { playerId } of batch) read.add(playerId);
      return batch.map(() => ok);
    });
    const restless = async (): Promise<void> => {
      while (!isOver) await bus.publish([message('again', { playerId: 'restless' })]);
    };
    const feeding = restless();
    await eventually('the restless one is read', () => read.has('restless'));
    await bus.publish(numbered(10, eachOwnPlayer));
    await eventually('the others are read too', () => read.size === 11);
    isOver = true;
    await feeding;
  },
);

onService('lag tells at least so many when more waits than it looks at', async ({ archive, start }) => {
  const bus = start();
  for (let n = 0; n < 3; n += 1) await bus.publish(numbered(750, eachOwnPlayer));
  const lag = await bus.lag('archive');
  expect(lag.waiting).toBe(2_000);
  expect(lag.oldestPublishedAtMs).toBe(archive().peek(0, 1)[0]?.enqueuedAtMs);
});

onService(
  'what the service gave up is counted apart, and brought into the dead letters; what could not be stored stays',
  async ({ double, proxy, start }) => {
    double.addTopic(TOPIC, ROLES, { maxDeliveryCount: 1 });
    const bus = start({ sessionsMax: 1 });
    const { opened, open } = gate();
    const got = await receive(bus, 'archive', () => opened.then(() => ok));
    await bus.publish([message('given up')]);
    await eventually('it is in hand', () => got.deliveries.length === 1);
    double.subscription(TOPIC, 'archive').expireLocks();
    open();
    await eventually('the service gave it up', async () => (await bus.lag('archive')).brokerDead === 1);
    expect((await bus.lag('archive')).waiting).toBe(0);
    const operator = createServicebusOperator({ ...defaults(proxy.port), maxAttempts: 3 });
    const refusing: DeadLetterSink = { put: () => Promise.reject(new OutageError('PostgreSQL')) };
    await expect(operator.collect?.(refusing, ['archive'])).rejects.toThrow(OutageError);
    const letters: string[] = [];
    const sink: DeadLetterSink = {
      put: async (role, { body }, reason) => void letters.push(`${role} ${body} ${reason}`),
    };
    await eventually('it can be received again', async () => {
      await operator.collect?.(sink, ['archive']);
      return letters.length > 0;
    });
    expect(letters).toEqual(['archive given up broker_gave_up']);
    expect((await bus.lag('archive')).brokerDead).toBe(0);
    await operator.close();
  },
);
