import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../kernel/clock.js';
import { OutageError } from '../kernel/errors.js';

/**
 * Tells a server that is silent from one that is slow. Answers come in the order of the questions, so while others are
 * answered a question waits for its turn; when nothing at all has been heard for `patienceMs` the server is away.
 */
export class Patience {
  readonly #patienceMs: number;
  readonly #clock: Pick<Clock, 'monotonicMs' | 'sleep'>;
  #heardAtMs = -Infinity;

  constructor(patienceMs: number, clock: Pick<Clock, 'monotonicMs' | 'sleep'>) {
    this.#patienceMs = patienceMs;
    this.#clock = clock;
  }

  /** Something came from the server, whoever asked for it. */
  heard(): void {
    this.#heardAtMs = this.#clock.monotonicMs();
  }

  /** As `asked`. @throws OutageError when the server is silent */
  async hear<T>(asked: Promise<T>): Promise<T> {
    const answered = new AbortController();
    try {
      const answer = await Promise.race([asked, this.#silence(answered.signal)]);
      this.heard();
      return answer;
    } finally {
      answered.abort();
    }
  }

  async #silence(answered: AbortSignal): Promise<never> {
    const askedAtMs = this.#clock.monotonicMs();
    for (;;) {
      const leftMs = Math.max(askedAtMs, this.#heardAtMs) + this.#patienceMs - this.#clock.monotonicMs();
      if (leftMs > 0) await this.#clock.sleep(leftMs, answered);
      // A process that stood still itself reads what has come meanwhile before it judges anybody.
      else if (await this.#isStillSilent(answered)) throw new OutageError('Redis');
      if (answered.aborted) return new Promise(() => undefined);
    }
  }

  async #isStillSilent(answered: AbortSignal): Promise<boolean> {
    const heardAtMs = this.#heardAtMs;
    for (let turn = 0; turn < 2; turn += 1) await setImmediate();
    return !answered.aborted && this.#heardAtMs === heardAtMs;
  }
}
