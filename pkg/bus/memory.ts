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

interface Stored {
  readonly delivery: Delivery;
  readonly publishedAtMs: number;
}

/** The head of a lane while a member has it in hand. */
interface Taken {
  readonly lane: number;
  readonly stored: readonly Stored[];
}

const NO_HEADERS: Readonly<Record<string, string>> = Object.freeze({});

/** Nobody needs the message id inside one process, so it is read only for who asks. */
class MemoryDelivery implements Delivery {
  readonly gameId: string;
  readonly playerId: string;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly attempt = 1;
  readonly #message: BusMessage;

  constructor(
    message: BusMessage,
    readonly position: string,
  ) {
    this.gameId = message.gameId;
    this.playerId = message.playerId;
    this.body = message.body;
    this.headers = message.headers === undefined ? NO_HEADERS : { ...message.headers };
    this.#message = message;
  }

  get messageId(): string {
    return this.#message.messageId;
  }
}

/** One role's copy: a first-in-first-out list per lane. A lane is in the hands of one member at a time. */
class RoleQueue {
  /** What is not in hand, by lane. */
  private readonly lanes = Array.from({ length: LANE_COUNT }, (): Stored[] => []);
  private readonly inHand = new Map<number, readonly Stored[]>();
  readonly wakeup = new Wakeup();
  waiting = 0;
  members = 0;
  private nextLane = 0;

  push(lane: number, stored: Stored): void {
    this.lanes[lane]?.push(stored);
    this.waiting += 1;
  }

  /** Takes the heads of a member's share of the lanes, equally many of each, beginning where the last call ended. */
  take(batchMax: number): Taken[] {
    const lanesMax = Math.min(batchMax, Math.ceil(LANE_COUNT / Math.max(1, this.members)));
    const turn: number[] = [];
    for (let i = 0; i < LANE_COUNT && turn.length < lanesMax; i += 1) {
      const lane = (this.nextLane + i) % LANE_COUNT;
      if (this.lanes[lane]?.length !== 0 && !this.inHand.has(lane)) turn.push(lane);
    }
    this.nextLane = ((turn.at(-1) ?? -1) + 1) % LANE_COUNT;
    const share = Math.max(1, Math.floor(batchMax / Math.max(1, turn.length)));
    return turn.map((lane) => this.takeLane(lane, share));
  }

  private takeLane(lane: number, share: number): Taken {
    const all = this.lanes[lane] ?? [];
    let stored = all;
    // Mostly a lane is taken whole: then the list itself changes hands.
    if (all.length > share) stored = all.splice(0, share);
    else this.lanes[lane] = [];
    this.inHand.set(lane, stored);
    return { lane, stored };
  }

  /** Takes a lane back but for its settled beginning. */
  giveBack({ lane, stored }: Taken, settled: number): void {
    this.inHand.delete(lane);
    this.waiting -= settled;
    if (settled < stored.length) {
      this.lanes[lane] = [...stored.slice(settled), ...(this.lanes[lane] ?? [])];
    }
  }

  oldestPublishedAtMs(): number | null {
    let oldestMs = Infinity;
    for (const list of [...this.inHand.values(), ...this.lanes]) {
      oldestMs = Math.min(oldestMs, list[0]?.publishedAtMs ?? Infinity);
    }
    return oldestMs === Infinity ? null : oldestMs;
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

  const store = (message: BusMessage, publishedAtMs: number): void => {
    const lane = laneOf(message.gameId, message.playerId);
    const place = (positions[lane] ?? 0) + 1;
    positions[lane] = place;
    const delivery = new MemoryDelivery(message, `${String(lane)}/${String(place)}`);
    const stored = { delivery, publishedAtMs };
    for (const queue of queues.values()) queue.push(lane, stored);
  };

  return {
    publish: async (messages) => {
      if (isClosed) throw new FairtallyError('bus_closed', 'the bus is closed');
      checkMessages(messages);
      const isFull = [...queues.values()].some((queue) => queue.waiting + messages.length > waitingMax);
      if (isFull)
        throw new OutageError(
          'The memory bus',
          new Error('a role has too many messages waiting'),
          'overloaded',
        );
      const publishedAtMs = options.clock.now();
      for (const message of messages) store(message, publishedAtMs);
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
      return { waiting: queue.waiting, oldestPublishedAtMs: queue.oldestPublishedAtMs() };
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

/** What is published in one turn of the event loop makes one batch: a batch per message is dear. */
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
  const batchMax = options.batchMax ?? BATCH_MAX;
  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      const seen = queue.wakeup.count;
      const taken = queue.take(batchMax);
      if (taken.length === 0) {
        await queue.wakeup.later(seen);
        await endOfTurn();
        continue;
      }
      const batch = taken.flatMap(({ stored }) => stored.map(({ delivery }) => delivery));
      const settled = await deliver(batch, handler, { ...options, role, signal });
      let from = 0;
      for (const one of taken) {
        queue.giveBack(one, settledBeginning(settled, from, one.stored.length));
        from += one.stored.length;
      }
      queue.wakeup.wake();
      if (queue.members > 1) await endOfTurn(); // so that the others come to their share
    }
  };
  const ended = run().finally(() => {
    queue.members -= 1;
  });
  return {
    close: () => {
      closing.abort();
      queue.wakeup.wake();
      return ended;
    },
  };
}

/** How many of `settled[from, from + length)` are true before the first that is not. */
function settledBeginning(settled: readonly boolean[], from: number, length: number): number {
  let count = 0;
  while (count < length && settled[from + count] === true) count += 1;
  return count;
}
