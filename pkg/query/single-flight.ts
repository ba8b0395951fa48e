import type { Clock } from '../kernel/clock.js';

export interface SingleFlightOptions {
  readonly clock: Clock;
  /** How long an answer is fresh. */
  readonly ttlMs: number;
  /** Keys remembered at most; the one longest unused goes first. */
  readonly entriesMax: number;
}

interface Landed<T> {
  readonly atMs: number;
  readonly value: T;
}

/** A small cache in front of a slow question: however many ask for one key at once, it is asked once. */
export class SingleFlight<T> {
  readonly #options: SingleFlightOptions;
  readonly #flights = new Map<string, Promise<T>>();
  readonly #landed = new Map<string, Landed<T>>();

  constructor(options: SingleFlightOptions) {
    this.#options = options;
  }

  /** The fresh answer, or the one being fetched, or a new one. A failure is told to all who wait and not remembered. */
  get(key: string, fetch: () => Promise<T>): Promise<T> {
    const nowMs = this.#options.clock.monotonicMs();
    const landed = this.#landed.get(key);
    if (landed !== undefined && nowMs - landed.atMs < this.#options.ttlMs) {
      this.#keep(key, landed);
      return Promise.resolve(landed.value);
    }
    const running = this.#flights.get(key);
    if (running !== undefined) return running;
    const value = this.#fly(key, nowMs, fetch);
    this.#flights.set(key, value);
    return value;
  }

  /** The last answer, however old; undefined when it is not remembered. */
  last(key: string): T | undefined {
    return this.#landed.get(key)?.value;
  }

  async #fly(key: string, nowMs: number, fetch: () => Promise<T>): Promise<T> {
    try {
      const value = await fetch();
      // Fresh counted from the start: the answer is no younger than that.
      this.#keep(key, { atMs: nowMs, value });
      return value;
    } finally {
      this.#flights.delete(key);
    }
  }

  #keep(key: string, landed: Landed<T>): void {
    this.#landed.delete(key);
    this.#landed.set(key, landed);
    for (const oldest of this.#landed.keys()) {
      if (this.#landed.size <= this.#options.entriesMax) return;
      this.#landed.delete(oldest);
    }
  }
}
