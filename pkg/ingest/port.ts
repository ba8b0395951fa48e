import type { IdempotencyStore, LoadGate, RateLimiter } from '../admission/port.js';
import type { Bus } from '../bus/port.js';
import type { DefinitionSource, KeyRing } from '../games/port.js';
import type { Clock } from '../kernel/clock.js';
import type { Random } from '../kernel/random.js';
import type { RefusalSink } from '../refusals/port.js';
import type { Logger, Metrics, Tracer } from '../runtime/port.js';
import type { ClientAddress } from './client-address.js';
import type { IngestLimits } from './limits.js';

/** All that the way in needs of others. */
export interface IngestDeps {
  readonly keyRing: KeyRing;
  readonly definitions: DefinitionSource;
  readonly bus: Pick<Bus, 'publish'>;
  /** Budgets of addresses, paid before anything is known of the sender: best in this process alone. */
  readonly addressLimiter: RateLimiter;
  /** Budgets of keys and players: best shared by all gateways. */
  readonly limiter: RateLimiter;
  readonly idempotency: IdempotencyStore;
  readonly loadGate: LoadGate;
  /** Told of what is refused, for the event debugger. */
  readonly refusals: RefusalSink;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: Metrics;
  readonly logger: Logger;
  /** null: no traces are made. */
  readonly tracer: Tracer | null;
  readonly limits: IngestLimits;
  readonly clientAddress: ClientAddress;
  /** Put back before the request target before a signature is verified; '' when no proxy strips one. */
  readonly signedPathPrefix: string;
  /** Web origins that may read the answers; `*` is all. */
  readonly corsOrigins: readonly string[];
}
