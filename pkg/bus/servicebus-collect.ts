import type { RoleName } from '../kernel/roles.js';
import { BROKER_GAVE_UP, type Collected } from './operator.js';
import type { DeadLetterSink } from './port.js';
import { asOutage, closeClient, openClient, within, type ServicebusAddress } from './servicebus-client.js';
import { toDelivery } from './servicebus-message.js';

const BATCH_MAX = 100;
const WAIT_MS = 2_000;
const SETTLE_TIMEOUT_MS = 10_000;
const ROUNDS_MAX = 100_000;

/** Empties the dead letter queue of each subscription into the dead letters. What could not be stored stays, and comes again. */
export async function collectFromServicebus(
  address: ServicebusAddress,
  topic: string,
  sink: DeadLetterSink,
  roles: readonly RoleName[],
): Promise<Collected[]> {
  const client = await openClient(address, SETTLE_TIMEOUT_MS);
  const done: Collected[] = [];
  try {
    for (const role of roles) {
      const receiver = client.createReceiver(topic, role, { subQueueType: 'deadLetter' });
      let messages = 0;
      for (let round = 0; round < ROUNDS_MAX; round += 1) {
        const batch = await receiver.receiveMessages(BATCH_MAX, { maxWaitTimeInMs: WAIT_MS }).catch(rethrow);
        if (batch.length === 0) break;
        for (const message of batch) {
          const why = [message.deadLetterReason, message.deadLetterErrorDescription]
            .filter(Boolean)
            .join(': ');
          await sink.put(
            role,
            toDelivery(message),
            BROKER_GAVE_UP,
            why === '' ? 'Service Bus gave it up' : why,
          );
          await within(SETTLE_TIMEOUT_MS, 'settling', receiver.completeMessage(message)).catch(rethrow);
          messages += 1;
        }
      }
      await receiver.close().catch(rethrow);
      done.push({ role, messages });
    }
    return done;
  } finally {
    await closeClient(client);
  }
}

const rethrow = (error: unknown): never => {
  throw asOutage(error);
};
