import { DEFAULT_BACKOFF, DEFAULT_MAX_ATTEMPTS, deliver } from '../../bus/deliver.js';
import { checkMessageIds, checkMessages } from '../../bus/message.js';
import type {
  BatchHandler,
  Bus,
  BusMessage,
  DeadLetterSink,
  Delivery,
  Lag,
  Subscription,
} from '../../bus/port.js';
import { FairtallyError, OutageError } from '../../kernel/errors.js';
import { laneOf } from '../../kernel/lanes.js';
import { ROLES, type RoleName } from '../../kernel/roles.js';
import type { Logger } from '../../runtime/port.js';
import type { SimNode } from './node.js';
import type { BusKind } from './swarm.js';
import type { World } from './world.js';

/** The rules of an engine, as far as roles can feel them (docs/architecture.md names the engines). */
interface Rules {
  /** What is kept in order and handed to one member at a time: a lane of the log, a partition, a message group, a session. */
  readonly groups: number;
  /** How long a publisher's repeat of a message id is dropped silently; 0: never. */
  readonly dedupMs: number;
  /** How long a group stays with a member of which nothing is heard. */
  readonly lockMs: number;
  /** Whether the acknowledgement of a member that lost the group is refused. */
  readonly fencesAcks: boolean;
  /** Whether each role's copy is sent by itself, so that some roles may have it and others not. */
  readonly sendsPerRole: boolean;
  /** Whether the engine counts deliveries. */
  readonly countsAttempts: boolean;
}

export const RULES: Readonly<Record<BusKind, Rules>> = {
  postgres: {
    groups: 4,
    dedupMs: 0,
    lockMs: 6_000,
    fencesAcks: false,
    sendsPerRole: false,
    countsAttempts: false,
  },
  kafka: {
    groups: 3,
    dedupMs: 0,
    lockMs: 10_000,
    fencesAcks: true,
    sendsPerRole: false,
    countsAttempts: false,
  },
  sqs: {
    groups: 64,
    dedupMs: 300_000,
    lockMs: 30_000,
    fencesAcks: true,
    sendsPerRole: true,
    countsAttempts: false,
  },
  servicebus: {
    groups: 8,
    dedupMs: 600_000,
    lockMs: 30_000,
    fencesAcks: true,
    sendsPerRole: false,
    countsAttempts: false,
  },
};

interface Stored {
  readonly message: BusMessage;
  readonly position: string;
  readonly publishedAtMs: number;
  attempts: number;
}

/** One role's messages of one group, in order. */
interface Group {
  readonly name: string;
  readonly waiting: Stored[];
  /** Who holds it; another number after each change of hands. */
  holder: { readonly token: number; readonly untilMs: number } | null;
  token: number;
}

interface Taken {
  readonly group: Group;
  readonly token: number;
  readonly stored: readonly Stored[];
}

/** The broker: it outlives every node, and keeps what it said it has. */
export class Broker {
  isUp = true;
  /** Everything that was ever durable here, by role and message id: what roles may have effects of. */
  readonly published: BusMessage[] = [];
  /** When the copy of the boards' role came first, by message id. */
  readonly arrivedAt = new Map<string, number>();
  private readonly queues = new Map<RoleName, Map<string, Group>>(ROLES.map((role) => [role, new Map()]));
  private readonly recent = new Map<string, number>();
  private readonly rules: Rules;
  private place = 0;
  private readonly sleepers = new Set<() => void>();

  constructor(
    readonly world: World,
    kind: BusKind,
  ) {
    this.rules = RULES[kind];
  }

  /** Members with nothing to do sleep until something may have changed for them. */
  onChange(wake: () => void): void {
    this.sleepers.add(wake);
  }

  changed(): void {
    const sleepers = [...this.sleepers];
    this.sleepers.clear();
    for (const wake of sleepers) wake();
  }

  get sendsPerRole(): boolean {
    return this.rules.sendsPerRole;
  }

  store(messages: readonly BusMessage[], roles: readonly RoleName[]): void {
    for (const message of messages) {
      for (const role of roles) this.append(role, message);
      this.published.push(message);
    }
    this.changed();
  }

  private append(role: RoleName, message: BusMessage): void {
    const { dedupMs, groups } = this.rules;
    if (dedupMs > 0) {
      const key = `${role} ${message.messageId}`;
      const known = this.recent.get(key);
      if (known !== undefined && this.world.nowMs - known < dedupMs) return;
      this.recent.set(key, this.world.nowMs);
    }
    const name = String(laneOf(message.gameId, message.playerId, groups));
    const queue = this.queueOf(role);
    let group = queue.get(name);
    if (group === undefined) queue.set(name, (group = { name, waiting: [], holder: null, token: 0 }));
    if (role === 'leaderboard' && !this.arrivedAt.has(message.messageId))
      this.arrivedAt.set(message.messageId, this.world.nowMs);
    this.place += 1;
    const position = `${name}/${String(this.place)}`;
    group.waiting.push({ message, position, publishedAtMs: this.world.nowMs, attempts: 0 });
  }

  private queueOf(role: RoleName): Map<string, Group> {
    return this.queues.get(role) ?? new Map<string, Group>();
  }

  /** Hands out the heads of free groups, in an order of chance. */
  receive(role: RoleName, batchMax: number): Taken[] {
    const { nowMs, chance } = this.world;
    const free = [...this.queueOf(role).values()].filter(
      ({ waiting, holder }) => waiting.length > 0 && (holder === null || holder.untilMs <= nowMs),
    );
    const taken: Taken[] = [];
    let room = batchMax;
    for (const group of chance.shuffled(free)) {
      if (room <= 0) break;
      const stored = group.waiting.slice(0, 1 + chance.below(room));
      room -= stored.length;
      group.token += 1;
      group.holder = { token: group.token, untilMs: nowMs + this.rules.lockMs };
      for (const one of stored) one.attempts += 1;
      taken.push({ group, token: group.token, stored });
    }
    return taken;
  }

  /** A live member keeps what it holds. */
  renew(taken: readonly Taken[]): void {
    for (const { group, token } of taken) {
      if (group.holder?.token === token)
        group.holder = { ...group.holder, untilMs: this.world.nowMs + this.rules.lockMs };
    }
  }

  /** Forgets the settled beginning of each group and gives the group back. */
  acknowledge(taken: readonly Taken[], settled: readonly boolean[]): void {
    let from = 0;
    for (const { group, token, stored } of taken) {
      const isHeld = group.holder?.token === token;
      const count = countBefore(settled, from, stored.length);
      from += stored.length;
      if (!isHeld && this.rules.fencesAcks) continue;
      // Behind a member that lost the group only what is still there can be forgotten.
      for (const one of stored.slice(0, count)) if (group.waiting[0] === one) group.waiting.shift();
      if (isHeld) group.holder = null;
    }
    this.changed();
  }

  giveBack(taken: readonly Taken[]): void {
    for (const { group, token } of taken) if (group.holder?.token === token) group.holder = null;
    this.changed();
  }

  /** The holder died: its locks end when they would have been renewed. */
  expireLater(): void {
    this.world.after(this.rules.lockMs + 1, 'bus locks expire', () => this.changed());
  }

  /** Somebody's lock ends before its time: a rebalance, a lost link, a renewal that came too late. */
  loseALock(): void {
    const held = [...this.queues.values()].flatMap((queue) =>
      [...queue.values()].filter(({ holder }) => holder !== null),
    );
    if (held.length > 0) this.world.chance.pick(held).holder = null;
    this.changed();
  }

  heldGroups(): number {
    let held = 0;
    for (const queue of this.queues.values())
      for (const { holder } of queue.values())
        if (holder !== null && holder.untilMs > this.world.nowMs) held += 1;
    return held;
  }

  lag(role: RoleName): Lag {
    let waiting = 0;
    let oldest = Infinity;
    for (const group of this.queueOf(role).values()) {
      waiting += group.waiting.length;
      for (const one of group.waiting) oldest = Math.min(oldest, one.publishedAtMs);
    }
    return { waiting, oldestPublishedAtMs: waiting === 0 ? null : oldest };
  }

  deliveryOf({ message, position, attempts }: Stored): Delivery {
    const { gameId, playerId, messageId, body, headers = {} } = message;
    const attempt = this.rules.countsAttempts ? attempts : 1;
    return { gameId, playerId, messageId, body, headers, position, attempt };
  }
}

function countBefore(settled: readonly boolean[], from: number, length: number): number {
  let count = 0;
  while (count < length && settled[from + count] === true) count += 1;
  return count;
}

const away = (why: string): OutageError => new OutageError('The simulated bus', new Error(why));
const RENEW_EVERY_MS = 2_000;

export interface SimBusOptions {
  readonly node: SimNode;
  readonly broker: Broker;
  readonly deadLetters: DeadLetterSink;
  readonly logger: Logger;
  readonly batchMax: number;
}

/** One process's way to the broker, with the production rules of delivery (pkg/bus/deliver.ts). */
export function createSimBus({ node, broker, deadLetters, logger, batchMax }: SimBusOptions): Bus {
  const { world } = node;
  const { chance } = world;
  const latencyMs = (): number =>
    world.swarm.latencyMs * chance.between(0.2, 1.8) +
    (world.strikes('bus.delay') ? chance.between(50, 20_000) : 0);

  const call = <T>(point: string, act: () => T): Promise<T> =>
    node.ask<T>(point, ({ resolve, reject }) => {
      world.after(latencyMs(), `${node.name} ${point}`, () => {
        if (!broker.isUp) return reject(away('the broker is away'));
        try {
          resolve(act());
        } catch (error) {
          reject(error);
        }
      });
    });

  const sendTo = (messages: readonly BusMessage[], roles: readonly RoleName[]): Promise<void> =>
    node
      .ask<undefined>('bus publish', ({ resolve, reject }) => {
        world.after(latencyMs(), `${node.name} bus publish`, () => {
          if (!broker.isUp || world.strikes('bus.publish-refused')) return reject(away('refused'));
          broker.store(messages, roles);
          if (world.strikes('bus.publish-twice')) broker.store(messages, roles);
          if (world.strikes('bus.publish-unknown')) return reject(away('stored, but the answer is lost'));
          world.after(latencyMs(), `${node.name} bus published`, () => resolve(undefined));
        });
      })
      .then(() => undefined);

  const member = (role: RoleName, handler: BatchHandler): Subscription => {
    const closing = new AbortController();
    const { signal } = closing;
    const policy = {
      maxAttempts: DEFAULT_MAX_ATTEMPTS,
      backoff: DEFAULT_BACKOFF,
      ...{ deadLetters, clock: node.clock, random: node.random, logger, role, signal },
    };
    const { life } = node;
    const work = async (): Promise<void> => {
      const taken = await call(`${role} receive`, () => {
        if (life !== node.life) broker.expireLater(); // it died while its request was on the way: nobody hears the answer
        return broker.receive(role, batchMax);
      });
      if (taken.length === 0) return idle();
      const renewing = keepRenewed(taken);
      const forget = node.onEnd(() => broker.expireLater());
      try {
        const deliveries = taken.flatMap(({ stored }) => stored.map((one) => broker.deliveryOf(one)));
        const settled = await deliver(deliveries, handler, policy);
        await call(`${role} ack`, () => {
          if (world.strikes('bus.ack-lost')) throw away('the acknowledgement was lost');
          broker.acknowledge(taken, settled);
          if (world.strikes('bus.ack-unknown')) throw away('the answer to the acknowledgement was lost');
        });
      } finally {
        renewing.abort();
        forget();
        broker.giveBack(taken);
      }
    };
    const idle = (): Promise<void> =>
      node.ask<undefined>(`${role} idle`, ({ resolve }) => broker.onChange(() => resolve(undefined)));
    const run = async (): Promise<void> => {
      while (!signal.aborted) {
        await work().catch((error: unknown) => {
          if (!(error instanceof OutageError)) throw error;
        });
      }
    };
    const keepRenewed = (taken: readonly Taken[]): AbortController => {
      const stop = new AbortController();
      void (async () => {
        while (!stop.signal.aborted) {
          if (broker.isUp) broker.renew(taken);
          await node.clock.sleep(RENEW_EVERY_MS, stop.signal);
        }
      })();
      return stop;
    };
    const ended = run();
    return {
      close: () => {
        closing.abort();
        return ended;
      },
    };
  };

  return {
    publish: async (messages) => {
      checkMessages(messages);
      checkMessageIds(messages);
      if (!broker.sendsPerRole) return sendTo(messages, ROLES);
      // As the SQS driver does: the archive's queue first, so that whatever is anywhere is in the archive.
      await sendTo(messages, ['archive']);
      if (world.strikes('bus.publish-partial')) throw away('only the archive has it');
      await Promise.all(ROLES.slice(1).map((role) => sendTo(messages, [role])));
    },
    subscribe: async (role, handler) => member(role, handler),
    lag: (role) => call('bus lag', () => broker.lag(role)),
    ping: () => call('bus ping', () => undefined),
    close: () =>
      Promise.reject(new FairtallyError('not_simulated', 'nodes of the simulation are killed, not closed')),
  };
}
