import { OutageError } from '../kernel/errors.js';
import { ok, type Outcome } from '../kernel/outcome.js';
import type { RoleName } from '../kernel/roles.js';
import { eventually } from './eventually.js';
import type { Bus, BusMessage, DeadLetterSink, Delivery } from '../bus/port.js';

/** One driver on an engine of its own for each case. */
export interface BusUnderTest {
  readonly bus: Bus;
  /** Another process on the same engine; `outage` does not touch it. */
  second?(): Promise<Bus>;
  /** Takes the engine away from `bus` and gives it back. */
  readonly outage?: { down(): Promise<void>; up(): Promise<void> };
  /** The next publish that carries `text` reaches the engine, its answer does not come back. */
  loseReply?(text: string): void;
  close(): Promise<void>;
}

export interface BusSettings {
  readonly deadLetters: DeadLetterSink;
  readonly maxAttempts: number;
  readonly batchMax: number;
}

export const MAX_ATTEMPTS = 3;
export const BATCH_MAX = 64;

interface Letter {
  readonly role: RoleName;
  readonly delivery: Delivery;
  readonly reason: string;
}

/** What a case works with. */
export class Bench {
  readonly letters: Letter[] = [];
  sinkFailures = 0;
  sinkCalls = 0;
  readonly settings: BusSettings;

  constructor() {
    const put: DeadLetterSink['put'] = async (role, delivery, reason) => {
      this.sinkCalls += 1;
      if (this.sinkFailures > 0) {
        this.sinkFailures -= 1;
        throw new Error('no room for dead letters');
      }
      this.letters.push({ role, delivery, reason });
    };
    this.settings = { deadLetters: { put }, maxAttempts: MAX_ATTEMPTS, batchMax: BATCH_MAX };
  }
}

let counter = 0;

export function message(body: string, more: Partial<BusMessage> = {}): BusMessage {
  counter += 1;
  return { gameId: 'demo', playerId: 'p-1', messageId: `m-${String(counter)}`, body, ...more };
}

export const numbered = (
  count: number,
  more: (n: number) => Partial<BusMessage> = () => ({}),
): BusMessage[] => Array.from({ length: count }, (_, n) => message(`n-${String(n)}`, more(n)));

export const eachOwnPlayer = (n: number): Partial<BusMessage> => ({ playerId: `p-${String(n)}` });

interface Received {
  readonly deliveries: Delivery[];
  readonly batches: (readonly Delivery[])[];
  bodies(): string[];
  close(): Promise<void>;
}

export async function receive(
  bus: Bus,
  role: RoleName,
  outcomeOf: (delivery: Delivery) => Outcome | Promise<Outcome> = () => ok,
): Promise<Received> {
  const batches: (readonly Delivery[])[] = [];
  const deliveries: Delivery[] = [];
  const subscription = await bus.subscribe(role, async (batch) => {
    batches.push(batch);
    deliveries.push(...batch);
    return Promise.all(batch.map(outcomeOf));
  });
  return {
    deliveries,
    batches,
    bodies: () => deliveries.map(({ body }) => body),
    close: () => subscription.close(),
  };
}

export const drained = (bus: Bus, role: RoleName): Promise<void> =>
  eventually(`${role} has settled everything`, async () => {
    try {
      return (await bus.lag(role)).waiting === 0;
    } catch (error) {
      // Asked of a machine that is too busy to answer in time; it is asked again.
      if (error instanceof OutageError) return false;
      throw error;
    }
  });

export function gate(): { readonly opened: Promise<void>; open(): void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}
