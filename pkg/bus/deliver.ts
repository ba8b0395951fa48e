import type { Clock } from '../kernel/clock.js';
import { OutageError } from '../kernel/errors.js';
import { dead, isHeldUp, retry, type Outcome } from '../kernel/outcome.js';
import type { Random } from '../kernel/random.js';
import type { RoleName } from '../kernel/roles.js';
import type { Logger } from '../runtime/port.js';
import { backoffMs, type BackoffRule } from './backoff.js';
import type { BatchHandler, DeadLetterSink, Delivery } from './port.js';

/** How every driver treats what its handlers say; a driver adds where messages come from and how they are settled. */
export interface DeliveryPolicy {
  /** A delivery that fails this often is dead with reason `handler_error`. */
  readonly maxAttempts: number;
  /** Pauses between attempts, and while a dependency is away. */
  readonly backoff: BackoffRule;
  readonly deadLetters: DeadLetterSink;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

export interface DeliverOptions extends DeliveryPolicy {
  readonly role: RoleName;
  /** Ends every pause: nothing more is tried, what is not settled by then stays unsettled. */
  readonly signal: AbortSignal;
}

export const DEFAULT_MAX_ATTEMPTS = 5;
export const DEFAULT_BACKOFF: BackoffRule = { baseMs: 50, capMs: 5_000 };
const DETAIL_MAX = 2_000;

/**
 * Runs one fetched batch to its end, in place, while the driver holds its lanes: hands it to the handler, tries again what
 * asks for it, writes dead letters. Only a signal ends it early.
 *
 * @param batch in the order of the transport
 * @returns one flag per delivery: true when it may be acknowledged. Of one player never a later delivery before an earlier.
 */
export async function deliver(
  batch: readonly Delivery[],
  handler: BatchHandler,
  options: DeliverOptions,
): Promise<readonly boolean[]> {
  const run = new BatchRun(batch, handler, options);
  await run.toTheEnd();
  return run.settled;
}

class BatchRun {
  readonly settled: boolean[];
  /** Attempts counted here; of a delivery that has not failed in this run its own count stands. */
  private readonly attempts = new Map<number, number>();

  constructor(
    private readonly batch: readonly Delivery[],
    private readonly handler: BatchHandler,
    private readonly options: DeliverOptions,
  ) {
    this.settled = batch.map(() => false);
  }

  async toTheEnd(): Promise<void> {
    let pending = this.batch.map((_, index) => index);
    for (let round = 1; pending.length > 0 && !this.options.signal.aborted; round += 1) {
      if (round > 1) await this.pause(round - 1);
      pending = await this.round(pending);
    }
  }

  /**
   * Hands the pending deliveries out once.
   *
   * @returns those that are still pending
   */
  private async round(pending: readonly number[]): Promise<number[]> {
    // One that had its attempts already (an earlier throw) must not take its neighbours with it: it goes alone.
    const left: number[] = [];
    const waiting = new Set<string>();
    for (const group of this.groups(pending)) {
      const isHeld = (index: number): boolean => waiting.size > 0 && waiting.has(playerOf(this.at(index)));
      const free = group.filter((index) => !isHeld(index));
      if (free.length < group.length) left.push(...group.filter(isHeld));
      if (free.length === 0) continue;
      const outcomes = this.options.signal.aborted ? null : await this.handOut(free);
      if (outcomes === null) left.push(...free);
      else left.push(...(await this.settle(free, outcomes, waiting)));
    }
    return left.sort((a, b) => a - b);
  }

  /** After an attempt failed nobody can tell which delivery a throwing handler chokes on, so its last attempt is its own. */
  private groups(pending: readonly number[]): number[][] {
    const isLast = (index: number): boolean => (this.attempts.get(index) ?? 0) >= this.options.maxAttempts;
    const groups: number[][] = [];
    let open: number[] | null = null;
    for (const index of pending) {
      if (isLast(index)) {
        groups.push([index]);
        open = null;
      } else if (open === null) groups.push((open = [index]));
      else open.push(index);
    }
    return groups;
  }

  /** Calls the handler until no dependency is away; null when the signal came first. Waiting burns no attempt. */
  private async handOut(indexes: readonly number[]): Promise<readonly Outcome[] | null> {
    const deliveries = indexes.map((index) => this.withAttempt(index));
    for (let tries = 1; ; tries += 1) {
      try {
        const outcomes = await this.handler(deliveries);
        if (outcomes.length === deliveries.length) return outcomes;
        throw new Error(
          `the handler gave ${String(outcomes.length)} outcomes for ${String(deliveries.length)} deliveries`,
        );
      } catch (error) {
        if (!(error instanceof OutageError)) return deliveries.map(() => retry(error));
        this.options.logger.warn(
          { role: this.options.role, tries, err: error },
          'a dependency is away: the role waits',
        );
      }
      await this.pause(tries);
      if (this.options.signal.aborted) return null;
    }
  }

  /** @returns those to hand out again; their players' later deliveries wait behind them, whatever their outcome. */
  private async settle(
    indexes: readonly number[],
    outcomes: readonly Outcome[],
    waiting: Set<string>,
  ): Promise<number[]> {
    const left: number[] = [];
    for (const [i, index] of indexes.entries()) {
      if (waiting.size === 0 && outcomes[i]?.kind === 'ok') {
        this.settled[index] = true;
        continue;
      }
      const player = playerOf(this.at(index));
      const outcome = waiting.has(player) ? null : this.bounded(index, outcomes[i]);
      if (outcome?.kind === 'ok') this.settled[index] = true;
      else if (outcome?.kind === 'dead') this.settled[index] = await this.bury(index, outcome);
      if (this.settled[index] === true) continue;
      waiting.add(player);
      left.push(index);
    }
    return left;
  }

  /** Counts a failed attempt; the last one is death. What a dependency holds up has not failed. */
  private bounded(index: number, outcome: Outcome | undefined): Outcome {
    if (outcome === undefined) throw new Error('an outcome is missing');
    if (outcome.kind !== 'retry') return outcome;
    const attempt = this.attemptOf(index);
    const { role, maxAttempts, logger } = this.options;
    logger.warn({ role, position: this.at(index).position, attempt, err: outcome.error }, 'an event failed');
    if (isHeldUp(outcome)) return outcome;
    if (attempt >= maxAttempts) return dead('handler_error', describe(outcome.error));
    this.attempts.set(index, attempt + 1);
    return outcome;
  }

  /** Tries until the letter is stored; false when the signal came first. Without a letter nothing is acknowledged. */
  private async bury(index: number, outcome: { reason: string; detail: string }): Promise<boolean> {
    const { role, deadLetters, logger, signal } = this.options;
    const delivery = this.withAttempt(index);
    for (let tries = 1; ; tries += 1) {
      try {
        await deadLetters.put(role, delivery, outcome.reason, outcome.detail.slice(0, DETAIL_MAX));
        return true;
      } catch (error) {
        logger.error(
          { role, position: delivery.position, tries, err: error },
          'a dead letter cannot be stored: the role waits',
        );
      }
      await this.pause(tries);
      if (signal.aborted) return false;
    }
  }

  private pause(tries: number): Promise<void> {
    const { backoff, clock, random, signal } = this.options;
    return clock.sleep(backoffMs(backoff, tries, random), signal);
  }

  private at(index: number): Delivery {
    const delivery = this.batch[index];
    if (delivery === undefined) throw new RangeError('no such delivery');
    return delivery;
  }

  private attemptOf(index: number): number {
    return this.attempts.get(index) ?? this.at(index).attempt;
  }

  private withAttempt(index: number): Delivery {
    const delivery = this.at(index);
    const attempt = this.attemptOf(index);
    if (attempt === delivery.attempt) return delivery;
    const { gameId, playerId, messageId, body, headers, position } = delivery; // a getter is not spread
    return { gameId, playerId, messageId, body, headers, position, attempt };
  }
}

const playerOf = (delivery: Delivery): string => `${delivery.gameId}\u0000${delivery.playerId}`;

const describe = (error: unknown): string =>
  error instanceof Error ? `${error.name}: ${error.message}` : String(error);
