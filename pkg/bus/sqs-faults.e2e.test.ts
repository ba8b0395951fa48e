import { expect, test } from '@jest/globals';
import { systemClock } from '../kernel/clock.js';
import { OutageError } from '../kernel/errors.js';
import { systemRandom } from '../kernel/random.js';
import { ROLES } from '../kernel/roles.js';
import { ok } from '../kernel/outcome.js';
import { drained, eachOwnPlayer, gate, message, numbered, receive } from '../testkit/bus-bench.js';
import { eventually } from '../testkit/eventually.js';
import { quietLogger } from '../testkit/quiet.js';
import {
  startSqsEndpoint,
  type ServiceError,
  type SqsEndpoint,
  type SqsRequest,
} from '../testkit/sqs-endpoint.js';
import { startTcpProxy } from '../testkit/tcp-proxy.js';
import type { Bus } from './port.js';
import { createSqsOperator, type SqsOperatorOptions } from './sqs-operator.js';
import { createSqsBus, type SqsBusOptions } from './sqs.js';

const NAME = 'game-events';
const DENIED: ServiceError = { __type: 'com.amazon.coral.service#AccessDeniedException', status: 400 };

/** An endpoint of its own with the queues of all roles. */
interface World {
  readonly endpoint: SqsEndpoint;
  start(more?: Partial<SqsBusOptions>): Bus;
  /** The requests to a role's queue so far. */
  sendsTo(role: string): readonly SqsRequest[];
}

const defaults = {
  clock: systemClock,
  random: systemRandom,
  logger: quietLogger,
  maxAttempts: 3,
  backoff: { baseMs: 1, capMs: 4 },
  deadLetters: { put: () => Promise.resolve() },
  waitSeconds: 1,
  name: NAME,
};

const makeQueues = async (endpoint: SqsEndpoint, more: Partial<SqsOperatorOptions> = {}): Promise<void> => {
  const operator = createSqsOperator({ sqs: endpoint.client, name: NAME, maxAttempts: 3, ...more });
  await operator.create();
  await operator.close();
};

/** Side by side: most of the time they wait for what SQS keeps waiting or hidden. */
const onQueues = (title: string, run: (world: World) => Promise<void>): void =>
  test.concurrent(title, async () => {
    const endpoint = await startSqsEndpoint();
    const buses: Bus[] = [];
    const start: World['start'] = (more = {}) => {
      const bus = createSqsBus({ ...defaults, sqs: endpoint.client, ...more });
      buses.push(bus);
      return bus;
    };
    const sendsTo: World['sendsTo'] = (role) =>
      endpoint.requests('SendMessageBatch').filter((request) => isFor(role, request));
    try {
      await makeQueues(endpoint);
      await run({ endpoint, start, sendsTo });
    } finally {
      await Promise.all(buses.map((bus) => bus.close()));
      await endpoint.close();
    }
  });

const isFor = (role: string, { QueueUrl }: SqsRequest): boolean =>
  QueueUrl?.endsWith(`-${role}.fifo`) === true;
const sizes = (requests: readonly SqsRequest[]): number[] =>
  requests.map(({ Entries }) => Entries?.length ?? 0);
const waiting = (bus: Bus): Promise<number[]> =>
  Promise.all(ROLES.map(async (role) => (await bus.lag(role)).waiting));

onQueues(
  'row 35: when a role queue refuses, publishing fails, and the retry is absorbed where it was accepted',
  async ({ endpoint, start }) => {
    const bus = start();
    const sent = numbered(5, eachOwnPlayer);
    endpoint.before('SendMessageBatch', (request) => (isFor('leaderboard', request) ? DENIED : null));
    await expect(bus.publish(sent)).rejects.toBeInstanceOf(OutageError);
    await eventually('the other roles have theirs', async () => (await waiting(bus)).join() === '5,5,0,5');
    endpoint.before('SendMessageBatch', () => null);
    await bus.publish(sent);
    expect(await waiting(bus)).toEqual([5, 5, 5, 5]);
  },
);

onQueues(
  'row 35: what the archive has not accepted is sent to no other role',
  async ({ endpoint, start, sendsTo }) => {
    const bus = start();
    endpoint.before('SendMessageBatch', (request) => (isFor('archive', request) ? DENIED : null));
    await expect(bus.publish(numbered(5, eachOwnPlayer))).rejects.toBeInstanceOf(OutageError);
    expect(ROLES.map((role) => sendsTo(role).length)).toEqual([1, 0, 0, 0]);
  },
);

onQueues(
  'row 35: when the other roles refuse, the archive alone has the events, to be sent again from there',
  async ({ endpoint, start }) => {
    const bus = start();
    endpoint.before('SendMessageBatch', (request) => (isFor('archive', request) ? null : DENIED));
    await expect(bus.publish(numbered(5, eachOwnPlayer))).rejects.toBeInstanceOf(OutageError);
    expect(await waiting(bus)).toEqual([5, 0, 0, 0]);
    const archive = await receive(bus, 'archive');
    await drained(bus, 'archive');
    expect(archive.deliveries).toHaveLength(5);
  },
);

onQueues(
  'row 46: entries that SQS did not take out of an accepted request are sent again, the others are not',
  async ({ endpoint, start, sendsTo }) => {
    const bus = start();
    const failedOnce = new Set<string>();
    endpoint.failEntries('SendMessageBatch', ({ MessageBody = '' }, request) => {
      const once = `${request.QueueUrl ?? ''} ${MessageBody}`;
      if (!/[369]$/.test(MessageBody) || failedOnce.has(once)) return null;
      failedOnce.add(once);
      return { SenderFault: false, Code: 'InternalError' };
    });
    await bus.publish(numbered(10, eachOwnPlayer));
    expect(failedOnce.size).toBe(3 * ROLES.length);
    for (const role of ROLES) expect(sizes(sendsTo(role)).reduce((sum, size) => sum + size)).toBe(13);
    expect(await waiting(bus)).toEqual([10, 10, 10, 10]);
  },
);

onQueues(
  'row 46: an entry that fails each time is given up after a bounded number of tries',
  async ({ endpoint, start, sendsTo }) => {
    const bus = start();
    endpoint.failEntries('SendMessageBatch', ({ MessageBody }) =>
      MessageBody === 'never' ? { SenderFault: true, Code: 'RequestThrottled' } : null,
    );
    const results = await Promise.allSettled([
      bus.publish([message('never')]),
      bus.publish([message('fine', { playerId: 'p-2' })]),
    ]);
    expect(results[0]).toMatchObject({ status: 'rejected', reason: { name: 'OutageError' } });
    expect(results[1]?.status).toBe('fulfilled');
    expect(sizes(sendsTo('archive'))).toEqual([2, 1, 1]);
  },
);

onQueues(
  'row 46: an entry that SQS refuses for what it is, is not sent again and fails nobody else',
  async ({ endpoint, start, sendsTo }) => {
    const bus = start();
    endpoint.failEntries('SendMessageBatch', ({ MessageBody }) =>
      MessageBody === 'wrong' ? { SenderFault: true, Code: 'InvalidMessageContents' } : null,
    );
    const results = await Promise.allSettled([
      bus.publish([message('wrong')]),
      bus.publish([message('fine', { playerId: 'p-2' })]),
    ]);
    expect(results[0]).toMatchObject({ status: 'rejected', reason: { code: 'message_refused' } });
    expect(results[1]?.status).toBe('fulfilled');
    expect(sizes(sendsTo('archive'))).toEqual([2]);
  },
);

onQueues(
  'row 46: while SQS is slow, calls share full requests, what is on its way is bounded and all else is refused at once',
  async ({ endpoint, start, sendsTo }) => {
    const bus = start({ queueMax: 27 });
    const { opened, open } = gate();
    endpoint.before('SendMessageBatch', async (request) => {
      if (isFor('archive', request)) await opened;
      return null;
    });
    const calls: Promise<void>[] = [];
    const publish = (n: number): void =>
      void calls.push(bus.publish([message(`n-${String(n)}`, eachOwnPlayer(n))]));
    for (const n of [0, 1]) {
      publish(n);
      await eventually('it is under way', () => sendsTo('archive').length === n + 1);
    }
    for (let n = 2; n < 50; n += 1) publish(n);
    const results = Promise.allSettled(calls);
    await expect(calls[27]).rejects.toBeInstanceOf(OutageError);
    await eventually('the full requests are under way', () => sendsTo('archive').length === 4);
    expect(sizes(sendsTo('archive')).sort()).toEqual([1, 1, 10, 10]);
    open();
    expect((await results).map(({ status }) => status)).toEqual([
      ...Array<string>(27).fill('fulfilled'),
      ...Array<string>(23).fill('rejected'),
    ]);
    expect(sizes(sendsTo('archive')).reduce((sum, size) => sum + size)).toBe(27);
  },
);

onQueues(
  'row 46: a call that SQS keeps waiting is answered in time, and what was not sent is not sent any more',
  async ({ endpoint, start }) => {
    const bus = start({ publishTimeoutMs: 2_000 });
    const { opened, open } = gate();
    endpoint.before('SendMessageBatch', async () => {
      await opened;
      return null;
    });
    // One player: of 30 messages ten are under way, the others wait behind them.
    await expect(bus.publish(numbered(30))).rejects.toBeInstanceOf(OutageError);
    open();
    await eventually('the archive has what was under way', async () => (await waiting(bus))[0] === 10);
    await start().publish([message('later', { playerId: 'p-2' })]);
    expect(await waiting(bus)).toEqual([11, 1, 1, 1]);
  },
);

onQueues('a request stays below 200 KiB, whatever the messages are', async ({ start, sendsTo }) => {
  const bus = start({ roles: ['archive'] });
  await bus.publish(numbered(10, eachOwnPlayer).map((one) => ({ ...one, body: 'x'.repeat(64 * 1024) })));
  expect(sizes(sendsTo('archive'))).toEqual([3, 3, 3, 1]);
});

onQueues('messages of one player come together, in order', async ({ start }) => {
  const bus = start({ roles: ['archive'] });
  await bus.publish(numbered(20));
  const got = await receive(bus, 'archive');
  await drained(bus, 'archive');
  expect(got.bodies()).toEqual(numbered(20).map(({ body }) => body));
  expect(got.batches[0]?.length).toBeGreaterThanOrEqual(10);
});

onQueues(
  'row 31: what could not be deleted comes again as the same message, and is no second attempt',
  async ({ endpoint, start }) => {
    const bus = start({ roles: ['archive'] });
    let isFailing = true;
    endpoint.failEntries('DeleteMessageBatch', () =>
      isFailing ? { SenderFault: false, Code: 'InternalError' } : null,
    );
    const got = await receive(bus, 'archive');
    await bus.publish([message('twice')]);
    await eventually('it was tried three times', () => endpoint.requests('DeleteMessageBatch').length === 3);
    isFailing = false;
    endpoint.expire();
    await drained(bus, 'archive');
    const [first, second] = got.deliveries;
    expect(got.deliveries).toHaveLength(2);
    expect(second).toEqual(first);
    expect(first?.attempt).toBe(1);
  },
);

onQueues(
  'row 49: what one member lost from sight is given to another, and the late deletion by the first does no harm',
  async ({ endpoint, start }) => {
    const proxy = await startTcpProxy(endpoint.port);
    const slow = start({
      roles: ['archive'],
      visibilitySeconds: 1,
      sqs: { ...endpoint.client, endpoint: `http://127.0.0.1:${String(proxy.port)}` },
    });
    const [atSlow, atOther] = [gate(), gate()];
    const first = await receive(slow, 'archive', () => atSlow.opened.then(() => ok));
    const sent = message('slow');
    await slow.publish([sent]);
    await eventually('the slow member has it', () => first.deliveries.length === 1);
    // It goes on working but cannot keep the message hidden: after a second it is for others.
    await proxy.down();
    const other = start({ roles: ['archive'] });
    const second = await receive(other, 'archive', () => atOther.opened.then(() => ok));
    await eventually('the other member has it, too', () => second.deliveries.length === 1);
    await proxy.up();
    atSlow.open();
    await eventually('the slow member deleted it', () => endpoint.requests('DeleteMessageBatch').length > 0);
    await first.close();
    expect((await other.lag('archive')).waiting).toBe(1);
    atOther.open();
    await drained(other, 'archive');
    const ids = [...first.deliveries, ...second.deliveries].map(({ messageId }) => messageId);
    expect(new Set(ids)).toEqual(new Set([sent.messageId]));
    await slow.close();
    await proxy.close();
  },
);

onQueues(
  'a member waits for queues that are not there yet, and so does a publisher',
  async ({ endpoint, start }) => {
    const bus = start({ name: 'later', roles: ['archive'] });
    const got = await receive(bus, 'archive');
    await expect(bus.publish([message('too early')])).rejects.toBeInstanceOf(OutageError);
    await expect(bus.ping()).rejects.toBeInstanceOf(OutageError);
    await makeQueues(endpoint, { name: 'later', roles: ['archive'] });
    await bus.ping();
    await bus.publish([message('in time')]);
    await eventually('it arrived', () => got.bodies().includes('in time'));
  },
);

onQueues('an endpoint that answers nothing is an outage, in bounded time', async ({ endpoint, start }) => {
  const bus = start();
  const { opened, open } = gate();
  endpoint.before('GetQueueUrl', async () => {
    await opened;
    return null;
  });
  await expect(bus.ping()).rejects.toBeInstanceOf(OutageError);
  open();
});

onQueues('who has messages in hand tells how old the oldest of them is', async ({ start }) => {
  const bus = start({ roles: ['archive'] });
  const { opened, open } = gate();
  const beforeMs = Date.now();
  await bus.publish([message('old')]);
  const afterMs = Date.now();
  const got = await receive(bus, 'archive', () => opened.then(() => ok));
  await eventually('it is in hand', () => got.deliveries.length === 1);
  const { oldestPublishedAtMs } = await bus.lag('archive');
  expect(oldestPublishedAtMs).toBeGreaterThanOrEqual(beforeMs);
  expect(oldestPublishedAtMs).toBeLessThanOrEqual(afterMs);
  open();
  await drained(bus, 'archive');
});
