import type { RoleName } from '../kernel/roles.js';
import type { KafkaAdmin } from './kafka-admin.js';
import type { Lag } from './port.js';

/** A look at the end of a partition. */
interface Look {
  readonly atMs: number;
  readonly end: bigint;
}

const LOOKS_MAX = 64;

/**
 * How far roles are behind. Counts are exact. Since when the oldest message waits is told by an earlier time, the latest
 * that is certain: when the last message before it was published (the metadata of the commit), or when this process
 * saw the partition end before it.
 */
export class KafkaLag {
  private readonly looks = new Map<number, Look[]>();

  constructor(
    private readonly admin: KafkaAdmin,
    private readonly topic: string,
    private readonly now: () => number,
  ) {}

  /** @throws OutageError */
  read(role: RoleName): Promise<Lag> {
    return this.admin.ask(async (admin) => {
      // In this order: what is committed or published meanwhile can only make it more than it is.
      const groups = await admin.fetchOffsets({ groupId: groupOf(this.topic, role), topics: [this.topic] });
      const nowMs = this.now();
      const ends = await admin.fetchTopicOffsets(this.topic);
      const commits = new Map(
        groups.flatMap(({ partitions }) => partitions).map((one) => [one.partition, one]),
      );
      let waiting = 0n;
      let oldestMs = Infinity;
      for (const { partition, high, low } of ends) {
        const commit = commits.get(partition);
        const next = larger(BigInt(commit?.offset ?? -1), BigInt(low));
        const end = BigInt(high);
        if (end > next) {
          waiting += end - next;
          oldestMs = Math.min(
            oldestMs,
            Math.max(Number(commit?.metadata) || 0, this.endedBefore(partition, next)),
          );
        }
        this.remember(partition, { atMs: nowMs, end });
      }
      return { waiting: Number(waiting), oldestPublishedAtMs: waiting === 0n ? null : oldestMs };
    });
  }

  /** When the partition was last seen to end at or before an offset; 0: never. */
  private endedBefore(partition: number, offset: bigint): number {
    return this.looks.get(partition)?.findLast(({ end }) => end <= offset)?.atMs ?? 0;
  }

  private remember(partition: number, look: Look): void {
    const looks = this.looks.get(partition) ?? [];
    // Of looks with the same end the last says most; of too many every other one goes.
    if (looks.at(-1)?.end === look.end) looks.pop();
    looks.push(look);
    this.looks.set(partition, looks.length <= LOOKS_MAX ? looks : looks.filter((_, n) => n % 2 === 0));
  }
}

const larger = (a: bigint, b: bigint): bigint => (a > b ? a : b);

export const groupOf = (topic: string, role: RoleName): string => `${topic}-${role}`;
