import { describe, expect, test } from '@jest/globals';
import { OutageError } from '../kernel/errors.js';
import { dead, ok, retry } from '../kernel/outcome.js';
import { eventually } from '../testkit/eventually.js';
import {
  BATCH_MAX,
  Bench,
  drained,
  eachOwnPlayer,
  gate,
  MAX_ATTEMPTS,
  message,
  numbered,
  receive,
} from '../testkit/bus-bench.js';
import type { BusSettings, BusUnderTest } from '../testkit/bus-bench.js';
import type { Delivery } from './port.js';

export interface BusContract {
  readonly name: string;
  makeBus(settings: BusSettings): Promise<BusUnderTest>;
  /** Several cases at once, for an engine that takes seconds to let a member join: each has topics or queues of its own. */
  readonly isConcurrent?: boolean;
  /** Cases a driver cannot have, each with its reason. */
  readonly skip?: readonly { readonly case: string; readonly reason: string }[];
}

type Case = (under: BusUnderTest, bench: Bench) => Promise<void>;

const carrying: Record<string, Case> = {
  'what is published arrives unchanged: text, headers, ids, up to 64 KiB': async ({ bus }) => {
    const texts = [
      '\uFFFE\uFFFF',
      '👩‍👩‍👧‍👦 \u202eRTL שלום',
      '{"a":"\\u0000","b":"\\\\"}',
      '',
      '"{},NULL\n\r\t',
      'é'.repeat(32 * 1024),
    ];
    const headers = { traceparent: '00-ab-cd-01', 'emoji 🎲': '{"q":"\\"', empty: '' };
    const sent = texts.map((body, n) =>
      message(body, { gameId: 'g-ß', playerId: `שחקן ${String(n)} 🧙`, headers }),
    );
    await bus.publish(sent);
    const got = await receive(bus, 'archive');
    await drained(bus, 'archive');
    const shape = ({ body, messageId, gameId, playerId, headers: carried }: Delivery): unknown => ({
      body,
      messageId,
      gameId,
      playerId,
      headers: carried, // prettier-ignore
    });
    expect(got.deliveries.map(shape)).toHaveLength(sent.length);
    expect(got.deliveries.map(shape)).toEqual(expect.arrayContaining(sent));
  },
  'a message that another driver could not carry is refused and its neighbours are not': async ({ bus }) => {
    const wrong = [
      message('a\u0000'),
      message('\ud800'),
      message('x'.repeat(64 * 1024 + 1)),
      message('', { headers: { h: '\udc00' } }),
    ];
    const results = await Promise.allSettled([
      ...wrong.map((one) => bus.publish([one])),
      bus.publish([message('right')]),
    ]);
    expect(results.map(({ status }) => status)).toEqual([
      'rejected',
      'rejected',
      'rejected',
      'rejected',
      'fulfilled',
    ]);
    const got = await receive(bus, 'archive');
    await drained(bus, 'archive');
    expect(got.bodies()).toEqual(['right']);
  },
  'a player sees messages in the order of their publishing': async ({ bus }) => {
    const got = await receive(bus, 'archive');
    const sent = numbered(200);
    for (let n = 0; n < sent.length; n += 20) await bus.publish(sent.slice(n, n + 20));
    await drained(bus, 'archive');
    expect(got.bodies()).toEqual(sent.map(({ body }) => body));
  },
  'every role gets its own copy, also of what was published before it came': async ({ bus }) => {
    await bus.publish(numbered(50, eachOwnPlayer));
    const roles = await Promise.all((['archive', 'leaderboard'] as const).map((role) => receive(bus, role)));
    await bus.publish([message('later')]);
    for (const role of ['archive', 'leaderboard'] as const) await drained(bus, role);
    for (const got of roles)
      expect(new Set(got.bodies())).toEqual(new Set([...numbered(50).map(({ body }) => body), 'later']));
  },
  'members of a role share its messages, each message once': async ({ bus, second }) => {
    const members = [await receive(bus, 'archive'), await receive((await second?.()) ?? bus, 'archive')];
    let sent = 0;
    await eventually('both members have work', async () => {
      await bus.publish(
        numbered(64, (n) => ({ playerId: `p-${String(n)}`, messageId: `s-${String(sent + n)}` })),
      );
      sent += 64;
      await drained(bus, 'archive');
      return members.every((member) => member.deliveries.length > 0);
    });
    const ids = members.flatMap((member) => member.deliveries.map(({ messageId }) => messageId));
    expect(new Set(ids).size).toBe(sent);
    expect(ids).toHaveLength(sent);
  },
  'two games with the same player and message ids never touch': async ({ bus }, { letters }) => {
    const got = await receive(bus, 'archive', ({ gameId }) => (gameId === 'red' ? dead('no', 'no') : ok));
    await bus.publish(['red', 'blue'].map((gameId) => message(gameId, { gameId, messageId: 'same' })));
    await drained(bus, 'archive');
    expect(got.deliveries.map(({ gameId, body }) => [gameId, body]).sort()).toEqual([
      ['blue', 'blue'],
      ['red', 'red'],
    ]);
    expect(letters.map(({ delivery }) => delivery.gameId)).toEqual(['red']);
  },
};

const failing: Record<string, Case> = {
  'what asks for a retry is handed out again, with its attempts counted': async ({ bus }, { letters }) => {
    const got = await receive(bus, 'archive', ({ attempt }) =>
      attempt < MAX_ATTEMPTS ? retry(new Error('not yet')) : ok,
    );
    await bus.publish([message('a')]);
    await drained(bus, 'archive');
    expect(got.deliveries.map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
    expect(letters).toEqual([]);
  },
  'what fails at every attempt becomes a dead letter with its reason': async ({ bus }, { letters }) => {
    const got = await receive(bus, 'archive', () => retry(new Error('never')));
    await bus.publish([message('a')]);
    await drained(bus, 'archive');
    expect(got.deliveries).toHaveLength(MAX_ATTEMPTS);
    expect(letters).toMatchObject([
      { role: 'archive', reason: 'handler_error', delivery: { body: 'a', attempt: MAX_ATTEMPTS } },
    ]);
  },
  'a handler that throws asks for a retry of the whole batch': async ({ bus }, { letters }) => {
    const attempts: number[] = [];
    await bus.subscribe('archive', async (batch) => {
      attempts.push(...batch.map(({ attempt }) => attempt));
      if (batch[0]?.attempt === 1) throw new Error('once');
      return batch.map(() => ok);
    });
    await bus.publish(numbered(2, eachOwnPlayer));
    await drained(bus, 'archive');
    expect(attempts.sort()).toEqual([1, 1, 2, 2]);
    expect(letters).toEqual([]);
  },
  'a poison event does not take its neighbours with it, even when the handler throws': async (
    { bus },
    { letters },
  ) => {
    const settled = new Set<string>();
    await bus.subscribe('archive', async (batch) => {
      if (batch.some(({ body }) => body === 'n-7')) throw new Error('poison');
      for (const { body } of batch) settled.add(body);
      return batch.map(() => ok);
    });
    await bus.publish(numbered(40, eachOwnPlayer));
    await drained(bus, 'archive');
    expect(letters.map(({ delivery }) => delivery.body)).toEqual(['n-7']);
    expect(settled.size).toBe(39);
  },
  'while an event is tried again, later events of its player wait and others do not': async (
    { bus },
    { letters },
  ) => {
    const got = await receive(bus, 'archive', ({ body }) => {
      if (body === 'first') return retry(new Error('never'));
      return body === 'second' ? dead('refused', 'at once') : ok;
    });
    await bus.publish([message('first'), message('second'), message('other', { playerId: 'p-2' })]);
    await drained(bus, 'archive');
    expect(letters.map(({ delivery, reason }) => [delivery.body, reason])).toEqual([
      ['first', 'handler_error'],
      ['second', 'refused'],
    ]);
    expect(got.bodies().filter((body) => body === 'other')).toHaveLength(1);
  },
  'a dependency that is away pauses the role without limit and burns no attempt': async (
    { bus },
    { letters },
  ) => {
    let calls = 0;
    const attempts: number[] = [];
    await bus.subscribe('archive', async (batch) => {
      calls += 1;
      if (calls <= 3 * MAX_ATTEMPTS) throw new OutageError('PostgreSQL');
      attempts.push(...batch.map(({ attempt }) => attempt));
      return batch.map(() => ok);
    });
    await bus.publish([message('a')]);
    await drained(bus, 'archive');
    expect(attempts).toEqual([1]);
    expect(letters).toEqual([]);
  },
  'row 53: while a dead letter cannot be stored nothing is acknowledged': async ({ bus }, bench) => {
    bench.sinkFailures = Number.POSITIVE_INFINITY;
    await receive(bus, 'archive', () => dead('unreadable', 'no'));
    await bus.publish([message('a')]);
    await eventually('the sink was tried several times', () => bench.sinkCalls > 2 * MAX_ATTEMPTS);
    expect((await bus.lag('archive')).waiting).toBe(1);
    bench.sinkFailures = 0;
    await drained(bus, 'archive');
    expect(bench.letters).toMatchObject([{ reason: 'unreadable', delivery: { attempt: 1 } }]);
  },
};

const living: Record<string, Case> = {
  'a slow handler has one bounded batch in hand, the rest waits': async ({ bus }) => {
    let inHand = 0;
    let inHandMax = 0;
    const sent = numbered(5 * BATCH_MAX, eachOwnPlayer);
    for (let n = 0; n < sent.length; n += BATCH_MAX) await bus.publish(sent.slice(n, n + BATCH_MAX));
    await bus.subscribe('archive', async (batch) => {
      inHand += batch.length;
      inHandMax = Math.max(inHandMax, inHand);
      await new Promise((resolve) => setTimeout(resolve, 5));
      inHand -= batch.length;
      return batch.map(() => ok);
    });
    await drained(bus, 'archive');
    expect(inHandMax).toBeGreaterThan(1);
    expect(inHandMax).toBeLessThanOrEqual(BATCH_MAX);
  },
  'closing a subscription finishes the batch in hand and takes nothing new': async ({ bus }) => {
    const { opened, open } = gate();
    const got = await receive(bus, 'archive', () => opened.then(() => ok));
    await bus.publish([message('in hand')]);
    await eventually('the batch is in hand', () => got.deliveries.length === 1);
    const closed = got.close();
    await bus.publish([message('too late')]);
    open();
    await closed;
    expect(got.bodies()).toEqual(['in hand']);
    expect((await bus.lag('archive')).waiting).toBe(1);
    const next = await receive(bus, 'archive');
    await drained(bus, 'archive');
    expect(next.bodies()).toEqual(['too late']);
  },
  'closing ends the wait for a retry and leaves the event to the next member': async (
    { bus },
    { letters },
  ) => {
    const got = await receive(bus, 'archive', () => {
      throw new OutageError('PostgreSQL');
    });
    await bus.publish([message('a')]);
    await eventually('the handler was called', () => got.deliveries.length > 0);
    await got.close();
    const next = await receive(bus, 'archive');
    await drained(bus, 'archive');
    expect(next.bodies()).toEqual(['a']);
    expect(letters).toEqual([]);
  },
  'after close publishing is refused': async ({ bus }) => {
    await bus.close();
    await expect(bus.publish([message('a')])).rejects.toMatchObject({ code: 'bus_closed' });
    await expect(bus.subscribe('archive', async () => [])).rejects.toMatchObject({ code: 'bus_closed' });
  },
  'lag counts what is published and not settled, and tells since when': async ({ bus }) => {
    expect(await bus.lag('fairness')).toMatchObject({ waiting: 0, oldestPublishedAtMs: null });
    await bus.publish(numbered(3));
    await bus.publish([message('other', { playerId: 'p-2' })]);
    const lag = await bus.lag('fairness');
    expect(lag.waiting).toBe(4);
    expect(Math.abs((lag.oldestPublishedAtMs ?? 0) - Date.now())).toBeLessThan(60_000);
    await receive(bus, 'fairness');
    await drained(bus, 'fairness');
    expect(await bus.lag('fairness')).toMatchObject({ waiting: 0, oldestPublishedAtMs: null });
  },
};

const breaking: Record<string, Case> = {
  'row 45: the engine goes away and comes back: publishing is refused meanwhile, nothing is lost': async ({
    bus,
    outage,
  }) => {
    const got = await receive(bus, 'archive');
    const acknowledged: string[] = [];
    const send = async (body: string): Promise<void> => {
      await bus.publish([message(body, { playerId: body })]);
      acknowledged.push(body);
    };
    for (let n = 0; n < 20; n += 1) await send(`before-${String(n)}`);
    await outage?.down();
    await expect(bus.publish([message('meanwhile')])).rejects.toBeInstanceOf(OutageError);
    await expect(bus.ping()).rejects.toBeInstanceOf(OutageError);
    await outage?.up();
    await bus.ping();
    for (let n = 0; n < 20; n += 1) await send(`after-${String(n)}`);
    await drained(bus, 'archive');
    expect(new Set(got.bodies().filter((body) => body !== 'meanwhile'))).toEqual(new Set(acknowledged));
  },
  'row 47: an answer lost after the engine accepted makes a duplicate at most': async ({
    bus,
    loseReply,
  }) => {
    const got = await receive(bus, 'archive');
    loseReply?.('marked-body');
    const lost = message('marked-body');
    await expect(bus.publish([lost])).rejects.toBeInstanceOf(OutageError);
    await bus.publish([lost]);
    await drained(bus, 'archive');
    expect(new Set(got.deliveries.map(({ messageId }) => messageId))).toEqual(new Set([lost.messageId]));
    // An engine that remembers what it accepted drops the repeat by itself.
    expect([1, 2]).toContain(got.deliveries.length);
  },
  'a member that is cut off in the middle of a batch has it redelivered to another': async ({
    bus,
    second,
    outage,
  }) => {
    const { opened, open } = gate();
    const first = await receive(bus, 'archive', () => opened.then(() => ok));
    const sent = numbered(40, eachOwnPlayer);
    await bus.publish(sent);
    await eventually('a batch is in hand', () => first.deliveries.length > 0);
    await outage?.down();
    const other = await second?.();
    if (other === undefined) throw new Error('this case needs a second process');
    const next = await receive(other, 'archive');
    await drained(other, 'archive');
    expect(new Set(next.bodies())).toEqual(new Set(sent.map(({ body }) => body)));
    open();
    await outage?.up();
    await bus.publish([message('after', { playerId: 'p-after' })]);
    await drained(other, 'archive');
    // Once at least: the member that comes back may make the other one read again what is not committed yet.
    expect([...first.bodies(), ...next.bodies()]).toContain('after');
  },
};

/** Those that take longest come first, so that cases side by side do not wait for them at the end. */
const GROUPS = { breaking, living, failing, carrying };

async function onOwnBus(contract: BusContract, run: Case): Promise<void> {
  const bench = new Bench();
  const under = await contract.makeBus(bench.settings);
  try {
    await run(under, bench);
  } finally {
    await under.close();
  }
}

/** The suite that every driver passes. */
export function busContract(contract: BusContract): void {
  // Cases run side by side within one group only.
  const groups =
    contract.isConcurrent === true ? { all: Object.assign({}, ...Object.values(GROUPS)) } : GROUPS;
  describe.each(Object.entries<Record<string, Case>>(groups))(`the ${contract.name} bus, %s`, (_, cases) => {
    const inTurn = contract.isConcurrent === true ? test.concurrent : test;
    for (const [title, run] of Object.entries(cases)) {
      const skipped = contract.skip?.find((entry) => entry.case === title);
      if (skipped === undefined) inTurn(title, () => onOwnBus(contract, run));
      else test.skip(`${title} (${skipped.reason})`, () => undefined);
    }
  });
  test(`every skipped case of the ${contract.name} bus exists`, () => {
    const known = Object.values(GROUPS).flatMap((cases) => Object.keys(cases));
    expect(known).toEqual(expect.arrayContaining((contract.skip ?? []).map((entry) => entry.case)));
  });
}
