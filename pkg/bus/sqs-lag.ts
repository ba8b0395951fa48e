import type { Clock } from '../kernel/clock.js';
import type { Lag } from './port.js';
import type { SqsQueue } from './sqs-queue.js';

/**
 * SQS counts approximately, and does not tell how old its oldest message is. A role has the oldest in hand, or nearly; who has
 * none knows that all that waits came after the queue was last seen empty, after it was made, and not before it forgets.
 */
export class SqsLag {
  private readonly emptyAtMs = new Map<SqsQueue, number>();

  constructor(private readonly clock: Clock) {}

  /**
   * @param dead where SQS puts what it gives up
   * @param inHandAtMs when SQS accepted the oldest that each member here has in hand, UTC ms
   */
  async of(queue: SqsQueue, dead: SqsQueue, inHandAtMs: readonly number[]): Promise<Lag> {
    const askedAtMs = this.clock.now();
    const [{ waiting, createdAtMs, retentionMs }, brokerDead] = await Promise.all([
      queue.counts(),
      // A worker without the right to look there works all the same.
      dead.counts().then(
        (counts) => counts.waiting,
        () => null,
      ),
    ]);
    if (waiting === 0) {
      this.emptyAtMs.set(queue, askedAtMs);
      return { waiting, oldestPublishedAtMs: null, brokerDead };
    }
    const earliestMs = Math.max(this.emptyAtMs.get(queue) ?? 0, createdAtMs, askedAtMs - retentionMs);
    const oldestPublishedAtMs = inHandAtMs.length > 0 ? Math.min(...inHandAtMs) : earliestMs;
    return { waiting, oldestPublishedAtMs, brokerDead };
  }
}
