import type { Counter, Gauge, Histogram, Metrics } from '../runtime/port.js';
import type { ShedReason } from './doorkeeper.js';
import type { InFlight } from './read-body.js';

/** Client builds that get a label of their own; the later ones share `other`, so that no client can make labels without end. */
const BUILDS_MAX = 50;
const BUILD = /^[A-Za-z0-9._+-]{1,32}$/;

const ACK_BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** What the way in counts. */
export class IngestMetrics {
  readonly #builds = new Set<string>();
  readonly #accepted: Counter;
  readonly #duplicate: Counter;
  readonly #conflict: Counter;
  readonly #rejected: Counter;
  readonly #refused: Counter;
  readonly acknowledged: Histogram;
  readonly #shed: Counter;
  readonly #shedNow = new Map<ShedReason, { readonly code: string; times: number }>();
  readonly #requests: Gauge;
  readonly #bytes: Gauge;
  readonly #work: Gauge;

  constructor(metrics: Metrics) {
    const byBuild = ['game', 'build'];
    this.#accepted = metrics.counter('fairtally_ingest_accepted_total', 'Events published', byBuild);
    this.#duplicate = metrics.counter(
      'fairtally_ingest_duplicate_total',
      'Events known to be published before',
      byBuild,
    );
    this.#conflict = metrics.counter(
      'fairtally_ingest_conflict_total',
      'Events with a known id and other content',
      byBuild,
    );
    this.#rejected = metrics.counter('fairtally_ingest_rejected_total', 'Events refused', [
      'game',
      'build',
      'reason',
    ]);
    this.#refused = metrics.counter(
      'fairtally_ingest_requests_refused_total',
      'Requests refused as a whole',
      ['reason'],
    );
    this.acknowledged = metrics.histogram(
      'fairtally_ingest_acknowledged_seconds',
      'From headers to 202',
      ACK_BUCKETS_SECONDS,
    );
    this.#shed = metrics.counter(
      'fairtally_ingest_shed_total',
      'Requests turned away before they were read',
      ['reason'],
    );
    this.#requests = metrics.gauge('fairtally_ingest_in_flight_requests', 'Requests in hand');
    this.#bytes = metrics.gauge('fairtally_ingest_in_flight_bytes', 'Bytes of bodies in hand');
    this.#work = metrics.gauge(
      'fairtally_ingest_in_flight_work',
      'Events in hand, each request counting as eight more',
    );
  }

  taken(game: string, build: string | undefined, counts: { accepted: number; duplicates: number }): void {
    const labels = { game, build: this.#label(build) };
    if (counts.accepted > 0) this.#accepted.inc(labels, counts.accepted);
    if (counts.duplicates > 0) this.#duplicate.inc(labels, counts.duplicates);
  }

  rejected(game: string, build: string | undefined, reason: string): void {
    const labels = { game, build: this.#label(build) };
    if (reason === 'event_id_conflict') this.#conflict.inc(labels);
    this.#rejected.inc({ ...labels, reason });
  }

  /** `reason` is a problem code. */
  refused(reason: string): void {
    this.#refused.inc({ reason });
  }

  /** Counted until the end of the turn, then told: under overload a turn sheds by the hundred. `code` is what was answered. */
  shed(reason: ShedReason, code: string): void {
    if (this.#shedNow.size === 0) setImmediate(() => this.#tellShed());
    const sheds = this.#shedNow.get(reason);
    if (sheds === undefined) this.#shedNow.set(reason, { code, times: 1 });
    else sheds.times += 1;
  }

  #tellShed(): void {
    for (const [reason, { code, times }] of this.#shedNow) {
      this.#shed.inc({ reason }, times);
      this.#refused.inc({ reason: code }, times);
    }
    this.#shedNow.clear();
  }

  holds({ requests, bytes, work }: InFlight): void {
    this.#requests.set(requests);
    this.#bytes.set(bytes);
    this.#work.set(work);
  }

  #label(build: string | undefined): string {
    if (build === undefined) return 'none';
    if (this.#builds.has(build)) return build;
    if (this.#builds.size >= BUILDS_MAX || !BUILD.test(build)) return 'other';
    this.#builds.add(build);
    return build;
  }
}
