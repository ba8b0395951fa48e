import { deliver, type DeliverOptions } from './deliver.js';
import type { BatchHandler, Delivery } from './port.js';

interface Submission {
  readonly deliveries: readonly Delivery[];
  readonly resolve: (settled: readonly boolean[]) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Makes one bounded batch of what many sessions hand in: while a batch is in hand the next one gathers, so that a role has one
 * transaction for many sessions rather than one for each.
 */
export class Gather {
  private readonly waiting: Submission[] = [];
  private isRunning = false;

  constructor(
    private readonly handler: BatchHandler,
    private readonly options: DeliverOptions,
    private readonly batchMax: number,
  ) {}

  /**
   * @param deliveries of one session, in order, at most `batchMax`
   * @returns which of them may be completed; none once the signal has come before their turn
   */
  submit(deliveries: readonly Delivery[]): Promise<readonly boolean[]> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ deliveries, resolve, reject });
      if (!this.isRunning) void this.run();
    });
  }

  private async run(): Promise<void> {
    this.isRunning = true;
    while (this.waiting.length > 0) {
      const submissions = this.next();
      try {
        handBack(submissions, await this.settle(submissions.flatMap(({ deliveries }) => deliveries)));
      } catch (error) {
        for (const { reject } of submissions) reject(error);
      }
    }
    this.isRunning = false;
  }

  private async settle(batch: readonly Delivery[]): Promise<readonly boolean[]> {
    if (this.options.signal.aborted) return batch.map(() => false);
    return deliver(batch, this.handler, this.options);
  }

  private next(): Submission[] {
    let count = 0;
    let size = 0;
    for (const { deliveries } of this.waiting) {
      size += deliveries.length;
      if (count > 0 && size > this.batchMax) break;
      count += 1;
    }
    return this.waiting.splice(0, count);
  }
}

function handBack(submissions: readonly Submission[], settled: readonly boolean[]): void {
  let from = 0;
  for (const { deliveries, resolve } of submissions) {
    resolve(settled.slice(from, from + deliveries.length));
    from += deliveries.length;
  }
}
