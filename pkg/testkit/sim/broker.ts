import type { BusMessage, Delivery, Lag } from '../../bus/port.js';
import { laneOf } from '../../kernel/lanes.js';
import { ROLES, type RoleName } from '../../kernel/roles.js';
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
  readonly place: number;
  readonly position: string;
  readonly publishedAtMs: number;
  attempts: number;
}

/** One role's messages of one group, in order. */
export interface Group {
  readonly name: string;
  readonly waiting: Stored[];
  /** Who holds it; another number after each change of hands. */
  holder: { readonly token: number; readonly untilMs: number } | null;
  token: number;
  /** The place of the last that was acknowledged. */
  cursor: number;
}

export interface Taken {
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
  private readonly sleepers = new Map<() => void, RoleName>();

  constructor(
    readonly world: World,
    kind: BusKind,
  ) {
    this.rules = RULES[kind];
  }

  /** Members with nothing to do sleep until something can be handed to them: a long poll. */
  onWork(role: RoleName, wake: () => void): void {
    this.sleepers.set(wake, role);
  }

  changed(): void {
    const busy = new Set(ROLES.filter((role) => this.freeGroups(role).length > 0));
    for (const [wake, role] of [...this.sleepers]) {
      if (!busy.has(role)) continue;
      this.sleepers.delete(wake);
      wake();
    }
  }

  private freeGroups(role: RoleName): Group[] {
    const { nowMs } = this.world;
    return [...this.queueOf(role).values()].filter(
      ({ waiting, holder }) => waiting.length > 0 && (holder === null || holder.untilMs <= nowMs),
    );
  }

  get sendsPerRole(): boolean {
    return this.rules.sendsPerRole;
  }

  protected nextPlace(): number {
    this.place += 1;
    return this.place;
  }

  /** Whether what has this place is never looked at, for the reader is beyond it. */
  protected isPassedOver(_place: number, _cursor: number): boolean {
    return false;
  }

  store(
    messages: readonly BusMessage[],
    roles: readonly RoleName[],
    placeOf = (): number => this.nextPlace(),
  ): void {
    for (const message of messages) {
      const place = placeOf();
      for (const role of roles) this.append(role, message, place);
      this.published.push(message);
    }
    this.changed();
  }

  private append(role: RoleName, message: BusMessage, place: number): void {
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
    if (group === undefined)
      queue.set(name, (group = { name, waiting: [], holder: null, token: 0, cursor: 0 }));
    if (role === 'leaderboard' && !this.arrivedAt.has(message.messageId))
      this.arrivedAt.set(message.messageId, this.world.nowMs);
    if (this.isPassedOver(place, group.cursor)) return;
    const position = `${name}/${String(place)}`;
    group.waiting.push({ message, place, position, publishedAtMs: this.world.nowMs, attempts: 0 });
  }

  private queueOf(role: RoleName): Map<string, Group> {
    return this.queues.get(role) ?? new Map<string, Group>();
  }

  /** Hands out the heads of free groups, in an order of chance. */
  receive(role: RoleName, batchMax: number): Taken[] {
    const { nowMs, chance } = this.world;
    const taken: Taken[] = [];
    let room = batchMax;
    for (const group of chance.shuffled(this.freeGroups(role))) {
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
      for (const one of stored.slice(0, count)) {
        if (group.waiting[0] === one) group.waiting.shift();
        group.cursor = Math.max(group.cursor, one.place);
      }
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
