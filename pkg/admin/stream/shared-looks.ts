import type { LimitFunction } from 'p-limit';
import type { Clock } from '../../kernel/clock.js';
import type { Logger } from '../../runtime/port.js';

export interface SharedLooksOptions {
  /** From the end of a look to the next one. */
  readonly everyMs: number;
  /** How many looks are under way at once, here and wherever else it is given. */
  readonly turns: LimitFunction;
  readonly clock: Pick<Clock, 'sleep'>;
  readonly logger: Logger;
}

interface Topic<T> {
  readonly listeners: Set<(value: T) => void>;
  readonly deserted: AbortController;
  /** What was seen last, and its JSON; null: nothing yet. */
  last: { readonly value: T; readonly json: string } | null;
}

/**
 * Looks at something again and again for as long as anybody listens, once for all who do. A look that fails is no end: the next
 * one may succeed. Looks take turns, so that many topics are each looked at less often and take no more of the database.
 */
export class SharedLooks<T> {
  readonly #options: SharedLooksOptions;
  readonly #topics = new Map<string, Topic<T>>();

  constructor(options: SharedLooksOptions) {
    this.#options = options;
  }

  /** How many topics have listeners. */
  get size(): number {
    return this.#topics.size;
  }

  /** Tells what `look` sees, at once where it is known, and afterwards each time that it differs. Resolves when the signal aborts. */
  async listen(
    key: string,
    look: () => Promise<T>,
    tell: (value: T) => void,
    signal: AbortSignal,
  ): Promise<void> {
    if (signal.aborted) return;
    const topic = this.#topics.get(key) ?? this.#begin(key, look);
    const listener = (value: T): void => tell(value);
    topic.listeners.add(listener);
    if (topic.last !== null) listener(topic.last.value);
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    topic.listeners.delete(listener);
    if (topic.listeners.size > 0) return;
    topic.deserted.abort();
    this.#topics.delete(key);
  }

  #begin(key: string, look: () => Promise<T>): Topic<T> {
    const topic: Topic<T> = { listeners: new Set(), deserted: new AbortController(), last: null };
    this.#topics.set(key, topic);
    void this.#keepLooking(topic, look);
    return topic;
  }

  async #keepLooking(topic: Topic<T>, look: () => Promise<T>): Promise<void> {
    const { turns, clock, logger, everyMs } = this.#options;
    const { signal } = topic.deserted;
    let isFailing = false;
    while (!signal.aborted) {
      try {
        await turns(async () => {
          if (!signal.aborted) show(topic, await look());
        });
        isFailing = false;
      } catch (error) {
        if (!isFailing) logger.warn({ err: error }, 'what streams tell cannot be read; it is tried again');
        isFailing = true;
      }
      await clock.sleep(everyMs, signal);
    }
  }
}

function show<T>(topic: Topic<T>, value: T): void {
  const json = JSON.stringify(value);
  if (json === topic.last?.json) return;
  topic.last = { value, json };
  for (const tell of topic.listeners) tell(value);
}
