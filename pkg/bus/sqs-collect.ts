import type { SQSClient } from '@aws-sdk/client-sqs';
import type { RoleName } from '../kernel/roles.js';
import { BROKER_GAVE_UP, type Collected } from './operator.js';
import type { DeadLetterSink } from './port.js';
import { ENTRIES_MAX, queueNameOf, SqsQueue } from './sqs-queue.js';

const VISIBILITY_SECONDS = 30;
/** SQS looks at all of its servers only when it may wait. */
const WAIT_SECONDS = 1;
/** Receives that found nothing, in a row, before a queue is believed to be empty. */
const EMPTY_LOOKS = 2;
const ROUNDS_MAX = 100_000;

/** Empties the dead letter queue of each role into the dead letters. What could not be stored stays, and comes again. */
export async function collectFromSqs(
  client: SQSClient,
  name: string,
  sink: DeadLetterSink,
  roles: readonly RoleName[],
): Promise<Collected[]> {
  const done: Collected[] = [];
  for (const role of roles) {
    const queue = new SqsQueue(client, queueNameOf(name, `${role}-dead`));
    const signal = new AbortController().signal;
    let messages = 0;
    for (let round = 0, empty = 0; round < ROUNDS_MAX && empty < EMPTY_LOOKS; round += 1) {
      const held = await queue.receive(ENTRIES_MAX, WAIT_SECONDS, VISIBILITY_SECONDS, signal);
      empty = held.length === 0 ? empty + 1 : 0;
      for (const { delivery } of held)
        await sink.put(role, delivery, BROKER_GAVE_UP, `SQS moved it to ${queue.name}`);
      await queue.remove(held);
      messages += held.length;
    }
    done.push({ role, messages });
  }
  return done;
}
