import type { Clock } from '../kernel/clock.js';

/** A value that is read now and then, for as long as one may go by it. */
export class Latest {
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #goodForMs: number;
  #value = 0;
  #untilMs = -Infinity;

  constructor(clock: Pick<Clock, 'monotonicMs'>, goodForMs: number) {
    this.#clock = clock;
    this.#goodForMs = goodForMs;
  }

  set(value: number): void {
    this.#value = value;
    this.#untilMs = this.#clock.monotonicMs() + this.#goodForMs;
  }

  /** null when nothing was read for too long: whoever reads it hangs or fails. */
  get(): number | null {
    return this.#clock.monotonicMs() < this.#untilMs ? this.#value : null;
  }
}
