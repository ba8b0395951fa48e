import type { BatchHandler, Delivery } from '../../bus/port.js';
import { OutageError } from '../../kernel/errors.js';
import { dead, retry, type Outcome } from '../../kernel/outcome.js';
import type { RoleName } from '../../kernel/roles.js';
import type { Counter, Logger, Metrics } from '../../runtime/port.js';
import type { Marks } from './port.js';
import { crashKey, CRASHES_MAX, portionsOf } from './rules.js';
import { Turns } from './turns.js';

export interface CrashGuardOptions {
  readonly marks: Marks;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** Wraps a handler of a role of this process; the role may have several, and each may be called several times at once. */
export type CrashGuard = (role: RoleName, handler: BatchHandler) => BatchHandler;

/**
 * Finds the message that ends the process (out of memory, a stack overflow in native code, an abort) and makes it a dead
 * letter `crash_loop`; all others go on.
 *
 * Before a batch its keys are written down. What two dead processes had in hand is suspected: each such event is handed to
 * the handler by itself, while no other role of the process runs, so that a crash names exactly one event. An event that comes
 * to an end is suspected no longer; the third process that dies of it is the last. A slow process is no dead one: it holds
 * a lock for as long as it lives.
 *
 * All handlers of a process are wrapped by one guard. It stands below the retries of the bus: every outcome passes through.
 */
export function createCrashGuard(options: CrashGuardOptions): CrashGuard {
  const turns = new Turns();
  const alone = options.metrics.counter(
    'fairtally_crash_suspects_total',
    'Events run by themselves because a process died while it had them in hand',
    ['role'],
  );
  const slotsOf = new Map<RoleName, Set<number>>();
  return (role, handler) => {
    const slots = slotsOf.get(role) ?? new Set();
    slotsOf.set(role, slots);
    const guarded = new GuardedRole(options, role, handler, { turns, slots }, alone);
    return (batch) => guarded.handle(batch);
  };
}

/** A batch with what it is known by. */
interface Batch {
  readonly slot: number;
  readonly deliveries: readonly Delivery[];
  readonly keys: readonly string[];
}

/** What all handlers of a process share, or all of a role. */
interface Shared {
  readonly turns: Turns;
  /** The slots of the role that are in use. */
  readonly slots: Set<number>;
}

class GuardedRole {
  constructor(
    private readonly options: CrashGuardOptions,
    private readonly role: RoleName,
    private readonly handler: BatchHandler,
    private readonly shared: Shared,
    private readonly alone: Counter,
  ) {}

  async handle(deliveries: readonly Delivery[]): Promise<readonly Outcome[]> {
    const { slots } = this.shared;
    let slot = 0;
    while (slots.has(slot)) slot += 1;
    slots.add(slot);
    try {
      return await this.run({
        slot,
        deliveries,
        keys: deliveries.map(({ messageId }) => crashKey(messageId)),
      });
    } finally {
      slots.delete(slot);
    }
  }

  private async run({ slot, deliveries, keys }: Batch): Promise<readonly Outcome[]> {
    const { marks, logger } = this.options;
    let suspects: ReadonlyMap<string, number> = new Map();
    const whole = await this.shared.turns.together(async () => {
      suspects = await guarding(marks.take(this.role, slot, keys, false));
      if (suspects.size === 0) return this.handler(deliveries);
      // It may be long until its turn comes to run alone.
      await guarding(marks.putDown(this.role, slot, null));
      return null;
    });
    if (whole !== null) return whole;
    logger.warn(
      { role: this.role, suspects: suspects.size, events: keys.length },
      'a process died with these events in hand: each runs alone',
    );
    // Its letter first: another content of its id may come behind a dead event, and the role must know by then that it is second.
    const waits = retry(new OutageError('The letter of the event before'));
    const outcomes = deliveries.map(() => waits);
    const waiting = new Set<string>();
    for (const { isAlone, from, to } of portionsOf(keys, (key) => suspects.has(key))) {
      const places = [...deliveries.keys()]
        .slice(from, to)
        .filter((n) => !waiting.has(playerOf(deliveries[n])));
      if (places.length === 0) continue;
      const ended = await this.runPortion(slot, isAlone, places.flatMap((n) => deliveries[n] ?? [])); // prettier-ignore
      for (const [i, place] of places.entries()) {
        outcomes[place] = ended[i] ?? waits;
        if (ended[i]?.kind !== 'ok') waiting.add(playerOf(deliveries[place]));
      }
    }
    return outcomes;
  }

  private runPortion(
    slot: number,
    isAlone: boolean,
    deliveries: readonly Delivery[],
  ): Promise<readonly Outcome[]> {
    const keys = deliveries.map(({ messageId }) => crashKey(messageId));
    const [key] = keys;
    if (isAlone && key !== undefined)
      return this.shared.turns.alone(() => this.runAlone(slot, deliveries, key));
    return this.shared.turns.together(async () => {
      await guarding(this.options.marks.take(this.role, slot, keys, false));
      return this.outcomesOf(deliveries);
    });
  }

  private async runAlone(
    slot: number,
    deliveries: readonly Delivery[],
    key: string,
  ): Promise<readonly Outcome[]> {
    const { marks, logger } = this.options;
    // Since the batch was looked at another process may have died of it, or settled it.
    const crashes = (await guarding(marks.take(this.role, slot, [key], true))).get(key) ?? 0;
    if (crashes >= CRASHES_MAX) {
      await guarding(marks.putDown(this.role, slot, null)); // it counts on: the message may come again before it is settled
      logger.error(
        { role: this.role, position: deliveries[0]?.position, crashes },
        'an event ends processes',
      );
      return [dead('crash_loop', `${String(crashes)} processes died while they handled it alone`)];
    }
    this.alone.inc({ role: this.role });
    let outcomes: readonly Outcome[];
    try {
      outcomes = await this.outcomesOf(deliveries);
    } catch (error) {
      await marks.putDown(this.role, slot, null).catch((failure: unknown) => {
        logger.warn({ role: this.role, err: failure }, 'an event that waits still counts as in hand');
      });
      throw error;
    }
    const isEnded = outcomes[0]?.kind !== 'retry';
    await guarding(marks.putDown(this.role, slot, isEnded ? key : null));
    return outcomes;
  }

  /** An error of a portion must not burn the attempts of the whole batch. @throws OutageError */
  private async outcomesOf(deliveries: readonly Delivery[]): Promise<readonly Outcome[]> {
    try {
      const outcomes = await this.handler(deliveries);
      if (outcomes.length === deliveries.length) return outcomes;
      throw new Error(
        `the handler gave ${String(outcomes.length)} outcomes for ${String(deliveries.length)} deliveries`,
      );
    } catch (error) {
      if (error instanceof OutageError) throw error;
      return deliveries.map(() => retry(error));
    }
  }
}

const playerOf = (delivery: Delivery | undefined): string =>
  `${delivery?.gameId ?? ''}\u0000${delivery?.playerId ?? ''}`;

/** The events have no part in what fails here: the batch waits. @throws OutageError */
async function guarding<T>(step: Promise<T>): Promise<T> {
  try {
    return await step;
  } catch (error) {
    throw error instanceof OutageError ? error : new OutageError('The crash guard', error);
  }
}
