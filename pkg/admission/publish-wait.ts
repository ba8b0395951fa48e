import type { Bus } from '../bus/port.js';
import type { Clock } from '../kernel/clock.js';

interface Call {
  readonly atMs: number;
}

/** Knows how long the bus has kept the oldest call of `publish` waiting. */
export class PublishWait {
  /** In the order in which they began. */
  readonly #calls = new Set<Call>();
  readonly #clock: Pick<Clock, 'monotonicMs'>;

  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.#clock = clock;
  }

  /** The same bus, watched. */
  around(bus: Pick<Bus, 'publish'>): Pick<Bus, 'publish'> {
    return {
      publish: async (messages) => {
        const call = { atMs: this.#clock.monotonicMs() };
        this.#calls.add(call);
        try {
          await bus.publish(messages);
        } finally {
          this.#calls.delete(call);
        }
      },
    };
  }

  /** 0 when nothing waits. */
  oldestMs(): number {
    for (const { atMs } of this.#calls) return this.#clock.monotonicMs() - atMs;
    return 0;
  }
}
