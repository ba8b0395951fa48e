import { DEFAULT_BACKOFF, DEFAULT_MAX_ATTEMPTS, type DeliveryPolicy } from '../pkg/bus/deliver.js';
import type { Bus, BusMessage } from '../pkg/bus/port.js';
import { systemClock as clock } from '../pkg/kernel/clock.js';
import { ok } from '../pkg/kernel/outcome.js';
import { systemRandom as random } from '../pkg/kernel/random.js';
import type { RoleName } from '../pkg/kernel/roles.js';
import { quietLogger as logger } from '../pkg/testkit/quiet.js';

/** Where the events of one round go: an engine and, on it, a topic, queues or a database of their own. */
export interface Place {
  readonly address: string;
  readonly name: string;
}

/** One way to use an engine: through our driver, or with its SDK alone. */
export interface Way {
  /** Connects, and makes beforehand what `send` shall not be timed for. */
  publisher(place: Place, calls: readonly (readonly BusMessage[])[]): Promise<Publisher>;
  /** Reads a role's copy of everything and settles it; `onBatch` is told how many of them come before they are settled. */
  consume(place: Place, role: RoleName, onBatch: (count: number) => void): Promise<Closing>;
}

export interface Publisher extends Closing {
  /** Ends when the engine has all messages of the call. */
  send(call: number): Promise<void>;
}

export interface Closing {
  close(): Promise<void>;
}

/** As gateways and workers have it. Nothing dies here. */
export const policy: DeliveryPolicy = {
  maxAttempts: DEFAULT_MAX_ATTEMPTS,
  backoff: DEFAULT_BACKOFF,
  deadLetters: { put: () => Promise.reject(new Error('nothing is dead here')) },
  clock,
  random,
  logger,
};

export const driverWay = (open: (place: Place) => Bus): Way => ({
  publisher: async (place, calls) => {
    const bus = open(place);
    return { send: (call) => bus.publish(calls[call] ?? []), close: () => bus.close() };
  },
  consume: async (place, role, onBatch) => {
    const bus = open(place);
    await bus.subscribe(role, async (batch) => {
      onBatch(batch.length);
      return batch.map(() => ok);
    });
    return { close: () => bus.close() };
  },
});
