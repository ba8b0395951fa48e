import type { Counter, Gauge, Logger, Metrics } from '../runtime/port.js';
import { shouldShed, type LoadLimits, type LoadSignals } from './load-rule.js';
import type { LoadGate, Overload } from './port.js';
import type { PublishWait } from './publish-wait.js';

export interface LoadWatchOptions {
  /** As they are at the moment. */
  readonly signals: () => LoadSignals;
  readonly limits: LoadLimits;
  readonly publishWait: Pick<PublishWait, 'oldestMs'>;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

/** Looks at the signals now and then, and stands open or shut in between. */
export class LoadWatch implements LoadGate {
  readonly #options: LoadWatchOptions;
  readonly #gauges: Readonly<Record<keyof LoadSignals, (value: number) => void>>;
  readonly #publishWait: Gauge;
  readonly #changes: Counter;
  #overloads: readonly Overload[] = [];

  constructor(options: LoadWatchOptions) {
    this.#options = options;
    this.#gauges = gaugesOf(options.metrics);
    this.#publishWait = options.metrics.gauge(
      'fairtally_publish_wait_seconds',
      'How long the bus keeps the oldest request waiting',
    );
    this.#changes = options.metrics.counter('fairtally_overload_total', 'Times that a limit was passed', [
      'reason',
    ]);
  }

  get overload(): Overload | null {
    return this.#overloads[0] ?? null;
  }

  /** All that events are shed for. */
  get overloads(): readonly Overload[] {
    return this.#overloads;
  }

  publishWaitMs(): number {
    return this.#options.publishWait.oldestMs();
  }

  look(): void {
    const { signals, limits, logger } = this.#options;
    const seen = signals();
    for (const [name, set] of Object.entries(this.#gauges)) set(seen[name as keyof LoadSignals] ?? NaN);
    this.#publishWait.set(this.publishWaitMs() / 1000);
    const before = this.#overloads;
    this.#overloads = shouldShed(seen, limits, before);
    for (const reason of this.#overloads) {
      if (before.includes(reason)) continue;
      this.#changes.inc({ reason });
      logger.warn({ reason, signals: seen, limits }, 'a limit is passed: new events are shed');
    }
    if (before.length > 0 && this.#overloads.length === 0)
      logger.info({ signals: seen }, 'new events are taken again');
  }
}

function gaugesOf(metrics: Metrics): Record<keyof LoadSignals, (value: number) => void> {
  const seconds = (gauge: Gauge) => (ms: number) => gauge.set(ms / 1000);
  const disk = metrics.gauge(
    'fairtally_free_disk_bytes',
    'Free space where the data lie; NaN: not watched, or not known',
  );
  return {
    loopDelayMs: seconds(
      metrics.gauge('fairtally_event_loop_delay_seconds', 'How late turns of the event loop are, median'),
    ),
    unappliedMs: seconds(
      metrics.gauge(
        'fairtally_oldest_unapplied_seconds',
        'Age of the oldest event that some role has not applied, as the gateway sees it; NaN: not known',
      ),
    ),
    freeDiskBytes: (bytes) => disk.set(bytes),
  };
}
