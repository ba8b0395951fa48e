import { FairtallyError, OutageError } from '../kernel/errors.js';
import { LANE_COUNT, laneOf } from '../kernel/lanes.js';
import { ROLES, type RoleName } from '../kernel/roles.js';
import { deliver, type DeliveryPolicy } from './deliver.js';
import { checkMessages } from './message.js';
import type { BatchHandler, Bus, BusMessage, Delivery, Subscription } from './port.js';
import { Wakeup } from './wakeup.js';

export interface MemoryBusOptions extends DeliveryPolicy {
  /** The roles that get a copy. A role nobody subscribes to fills up, and then publishing is refused. */
  readonly roles?: readonly RoleName[];
  /** Messages that a role may have waiting. Beyond it `publish` rejects with OutageError, as a full broker would. */
  readonly waitingMax?: number;
  /** Deliveries handed to a handler at once. */
  readonly batchMax?: number;
}

const WAITING_MAX = 100_000;
const BATCH_MAX = 500;
const IDLE_MS = 1_000;

interface Stored {
  readonly delivery: Delivery;
  readonly publishedAtMs: number;
}

/** One role's copy: a first-in-first-out list per lane. A lane is in the hands of one member at a time. */
class RoleQueue {
  readonly lanes: Stored[][] = Array.from({ length: LANE_COUNT }, () => []);
  readonly wakeup = new Wakeup();
  waiting = 0;
  members = 0;
  private readonly inHand = new Set<number>();
  private nextLane = 0;

  push(lane: number, stored: Stored): void {
    this.lanes[lane]?.push(stored);
    this.waiting += 1;
  }

  /** Takes the heads of a member's share of the lanes, equally many of each, beginning where the last call ended. */
  take(batchMax: number): Map<number, readonly Stored[]> {
    const free = this.lanes.flatMap((lane, index) =>
      lane.length > 0 && !this.inHand.has(index) ? [index] : [],
    );
    const start = Math.max(
      0,
      free.findIndex((lane) => lane >= this.nextLane),
    );
    const lanesMax = Math.min(batchMax, Math.ceil(LANE_COUNT / Math.max(1, this.members)));
    const turn = [...free.slice(start), ...free.slice(0, start)].slice(0, lanesMax);
    const share = Math.max(1, Math.floor(batchMax / Math.max(1, turn.length)));
    this.nextLane = ((turn.at(-1) ?? -1) + 1) % LANE_COUNT;
    for (const lane of turn) this.inHand.add(lane);
    return new Map(turn.map((lane) => [lane, (this.lanes[lane] ?? []).slice(0, share)]));
  }

  /** Drops the settled beginning of each lane and gives the lanes back. */
  giveBack(settledOf: ReadonlyMap<number, number>): void {
    for (const [lane, settled] of settledOf) {
      this.lanes[lane]?.splice(0, settled);
      this.waiting -= settled;
      this.inHand.delete(lane);
    }
    this.wakeup.wake();
  }
}

/** The volatile bus: for tests, demonstrations and benchmarks. What it holds is gone with the process. */
export function createMemoryBus(options: MemoryBusOptions): Bus {
  const queues = new Map((options.roles ?? ROLES).map((role) => [role, new RoleQueue()]));
  const waitingMax = options.waitingMax ?? WAITING_MAX;
  const positions = new Array<number>(LANE_COUNT).fill(0);
  const subscriptions = new Set<Subscription>();
  let isClosed = false;

  const queueOf = (role: RoleName): RoleQueue => {
    const queue = queues.get(role);
    if (queue === undefined)
      throw new FairtallyError('unknown_role', `the bus keeps no copy for role ${role}`);
    return queue;
  };

  const store = (message: BusMessage): void => {
    const lane = laneOf(message.gameId, message.playerId);
    const position = (positions[lane] ?? 0) + 1;
    positions[lane] = position;
    const { gameId, playerId, messageId, body } = message;
    const place = { position: `${String(lane)}/${String(position)}`, attempt: 1 };
    const delivery: Delivery = {
      gameId,
      playerId,
      messageId,
      body,
      headers: { ...message.headers },
      ...place,
    };
    const publishedAtMs = options.clock.now();
    for (const queue of queues.values()) queue.push(lane, { delivery, publishedAtMs });
  };

  return {
    publish: async (messages) => {
      if (isClosed) throw new FairtallyError('bus_closed', 'the bus is closed');
      checkMessages(messages);
      const isFull = [...queues.values()].some((queue) => queue.waiting + messages.length > waitingMax);
      if (isFull) throw new OutageError('The memory bus', new Error('a role has too many messages waiting'));
      for (const message of messages) store(message);
      for (const queue of queues.values()) queue.wakeup.wake();
    },
    subscribe: async (role, handler) => {
      if (isClosed) throw new FairtallyError('bus_closed', 'the bus is closed');
      const subscription = consume(role, queueOf(role), handler, options);
      subscriptions.add(subscription);
      return { close: () => subscription.close().finally(() => subscriptions.delete(subscription)) };
    },
    lag: async (role) => {
      const queue = queueOf(role);
      const heads = queue.lanes.flatMap((lane) => (lane[0] === undefined ? [] : [lane[0].publishedAtMs]));
      return { waiting: queue.waiting, oldestPublishedAtMs: heads.length === 0 ? null : Math.min(...heads) };
    },
    ping: async () => {
      if (isClosed) throw new OutageError('The memory bus');
    },
    close: async () => {
      isClosed = true;
      await Promise.all([...subscriptions].map((subscription) => subscription.close()));
    },
  };
}

/** What is published in one turn of the event loop makes one batch, and members take turns: a batch per message is dear. */
const endOfTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function consume(
  role: RoleName,
  queue: RoleQueue,
  handler: BatchHandler,
  options: MemoryBusOptions,
): Subscription {
  const closing = new AbortController();
  const { signal } = closing;
  queue.members += 1;
  const run = async (): Promise<void> => {
    for (await endOfTurn(); !signal.aborted; await endOfTurn()) {
      const seen = queue.wakeup.count;
      const taken = queue.take(options.batchMax ?? BATCH_MAX);
      if (taken.size === 0) {
        await queue.wakeup.wait(seen, IDLE_MS, options.clock, signal);
        continue;
      }
      const batch = [...taken.values()].flat().map((stored) => stored.delivery);
      const flags = await deliver(batch, handler, { ...options, role, signal });
      let from = 0;
      const settledOf = new Map<number, number>();
      for (const [lane, stored] of taken) {
        const own = flags.slice(from, (from += stored.length));
        const firstOpen = own.indexOf(false);
        settledOf.set(lane, firstOpen === -1 ? own.length : firstOpen);
      }
      queue.giveBack(settledOf);
    }
  };
  const ended = run().finally(() => {
    queue.members -= 1;
  });
  return {
    close: () => {
      closing.abort();
      return ended;
    },
  };
}
