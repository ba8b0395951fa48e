import type { RoleName } from '../kernel/roles.js';
import { queueNameOf } from './sqs-queue.js';
import { VISIBILITY_SECONDS } from './sqs-subscription.js';

/** One attribute of a queue as Fairtally needs it. */
export interface Setting {
  readonly attribute: string;
  readonly value: string;
  isRight(found: string | null): boolean;
}

/** The most that SQS has. A dead letter queue counts anew from when a message of a FIFO queue came to it. */
const RETENTION_SECONDS = 14 * 86_400;
/** SQS counts every receive, also after an outage or a stop of a worker, and takes what it gives up out of its player's order. */
const RECEIVES_PER_ATTEMPT = 20;
const RECEIVES_PER_ATTEMPT_MIN = 10;
const RECEIVES_MAX = 1_000;

export const queueNames = (
  name: string,
  role: RoleName,
): { readonly queue: string; readonly dead: string } => ({
  queue: queueNameOf(name, role),
  dead: queueNameOf(name, `${role}-dead`),
});

const exactly = (attribute: string, value: string): Setting => ({
  attribute,
  value,
  isRight: (found) => found === value,
});

/** High throughput FIFO: order and the memory of repeats are a player's own. */
const FIFO: readonly Setting[] = [
  exactly('FifoQueue', 'true'),
  exactly('ContentBasedDeduplication', 'false'),
  exactly('DeduplicationScope', 'messageGroup'),
  exactly('FifoThroughputLimit', 'perMessageGroupId'),
  exactly('MessageRetentionPeriod', String(RETENTION_SECONDS)),
];

export const deadQueueSettings = (): readonly Setting[] => FIFO;

/** @param maxAttempts of a delivery inside a worker */
export const queueSettings = (deadArn: string, maxAttempts: number): readonly Setting[] => [
  ...FIFO,
  exactly('VisibilityTimeout', String(VISIBILITY_SECONDS)),
  {
    attribute: 'RedrivePolicy',
    value: JSON.stringify({
      deadLetterTargetArn: deadArn,
      maxReceiveCount: Math.min(RECEIVES_MAX, RECEIVES_PER_ATTEMPT * maxAttempts),
    }),
    isRight: (found) =>
      isFallback(found, deadArn, Math.min(RECEIVES_MAX, RECEIVES_PER_ATTEMPT_MIN * maxAttempts)),
  },
];

function isFallback(found: string | null, deadArn: string, receivesMin: number): boolean {
  if (found === null || found === '') return false;
  const policy = JSON.parse(found) as { deadLetterTargetArn?: unknown; maxReceiveCount?: unknown };
  // Tools write the count as a number or as a text.
  return policy.deadLetterTargetArn === deadArn && Number(policy.maxReceiveCount) >= receivesMin;
}
