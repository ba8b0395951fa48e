import type { BatchHandler } from '../bus/port.js';
import type { Clock } from '../kernel/clock.js';
import { FairtallyError } from '../kernel/errors.js';
import type { RoleName } from '../kernel/roles.js';
import type { Database } from '../postgres/port.js';
import type { Gauge, Logger, Metrics } from '../runtime/port.js';
import { firstWatch, judgeLook, type Look, type Watch, type WatchVerdict } from './watchdog-rule.js';

export interface WatchdogOptions {
  /** Without progress for so long a role is stuck, and after as long again the process ends. */
  readonly stuckMs: number;
  /** How often it is looked, about. */
  readonly lookEveryMs: number;
  /** Changes whenever any member of the role takes a batch; null where there is no other. See Marks.lastTaken. */
  readonly lastTaken: (role: RoleName) => Promise<string | null>;
  /** Ends the process so that it is started again. */
  readonly fail: (reason: string, error: unknown) => void;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** What is left of a look that the watchdog itself cannot see. */
export interface RoleLag {
  readonly waiting: number;
  /** Age of the oldest event that waits, seconds. */
  readonly ageSeconds: number;
}

/** Looks late count as so many of those in time. */
const LATE_LOOKS = 5;

/**
 * Sees that roles for which events wait make progress in this process. Consumers of brokers can die without a word: one
 * that is stuck makes the process unready, and if it stays so the process ends, to be started again. See judgeLook.
 */
export class Watchdog {
  readonly #roles = new Map<RoleName, WatchedRole>();
  readonly #still: Gauge;

  constructor(private readonly options: WatchdogOptions) {
    this.#still = options.metrics.gauge(
      'fairtally_role_still_seconds',
      'How long events have waited for a role without any progress of it in this process',
      ['role'],
    );
  }

  /** Begins to watch a role; its handler and its database are used through what this returns. */
  watch(role: RoleName): WatchedRole {
    const watched = this.#roles.get(role) ?? new WatchedRole();
    this.#roles.set(role, watched);
    return watched;
  }

  /** @throws FairtallyError `role_stuck` while a role is: for readiness */
  check(): void {
    for (const [role, { verdict }] of this.#roles)
      if (verdict === 'stuck' || verdict === 'lost')
        throw new FairtallyError('role_stuck', `${role} makes no progress`, true);
  }

  /** @param lag null: it could not be read */
  async look(role: RoleName, lag: RoleLag | null): Promise<void> {
    const watched = this.#roles.get(role);
    if (watched === undefined) return;
    const { stuckMs, lookEveryMs, clock } = this.options;
    const taken = lag === null ? undefined : await this.#taken(role);
    const look = watched.look(
      clock.monotonicMs(),
      taken === undefined ? null : (lag?.waiting ?? null),
      taken ?? null,
    );
    const judged = judgeLook((watched.state ??= firstWatch(look)), look, {
      periodMs: stuckMs,
      lookMaxMs: LATE_LOOKS * lookEveryMs,
    });
    const before = watched.verdict;
    watched.state = judged.watch;
    watched.verdict = judged.verdict;
    this.#still.set(judged.watch.stillMs / 1000, { role });
    if (before !== judged.verdict) this.#tell(role, before, judged.verdict, lag);
  }

  /** undefined: it could not be read. */
  async #taken(role: RoleName): Promise<string | null | undefined> {
    try {
      return await this.options.lastTaken(role);
    } catch (error) {
      this.options.logger.debug({ role, err: error }, 'what the members of the role do could not be read');
      return undefined;
    }
  }

  #tell(role: RoleName, before: WatchVerdict, verdict: WatchVerdict, lag: RoleLag | null): void {
    const { logger, stuckMs, fail } = this.options;
    const stuckSeconds = stuckMs / 1000;
    if (verdict === 'stuck')
      logger.error(
        { role, ...lag, stuckSeconds },
        `a role makes no progress: this process is not ready, and ends in ${String(stuckSeconds)} s if nothing moves`,
      );
    else if (verdict === 'lost')
      fail(
        `the role ${role} makes no progress: the process ends, to be started again`,
        new FairtallyError('role_stuck', `${String(lag?.waiting)} events wait for ${role} and nothing moves`),
      );
    else if (before === 'stuck') logger.info({ role }, 'the role moves again');
  }
}

/** The signs of life of one role in this process. */
export class WatchedRole {
  verdict: WatchVerdict = 'moves';
  state: Watch | null = null;
  #signs = 0;
  #calls = 0;
  #statements = 0;

  /** The outermost wrapper of a handler of the role. */
  handler(handler: BatchHandler): BatchHandler {
    return async (batch) => {
      this.#calls += 1;
      try {
        return await handler(batch);
      } finally {
        this.#calls -= 1;
        this.#signs += 1;
      }
    };
  }

  /** The database as the role uses it. Each statement ends by the database's own time limits, so none hides a standstill. */
  database(db: Database): Database {
    return {
      query: (text, values) => this.#statement(() => db.query(text, values)),
      transaction: (work, options) =>
        db.transaction(
          (sql) => work({ query: (text, values) => this.#statement(() => sql.query(text, values)) }),
          options,
        ),
      close: () => db.close(),
    };
  }

  look(atMs: number, waiting: number | null, taken: string | null): Look {
    return {
      atMs,
      waiting,
      signs: this.#signs,
      isWaitingForDatabase: this.#statements > 0,
      isInHand: this.#calls > 0,
      taken,
    };
  }

  async #statement<T>(run: () => Promise<T>): Promise<T> {
    this.#statements += 1;
    try {
      return await run();
    } finally {
      this.#statements -= 1;
      this.#signs += 1;
    }
  }
}
