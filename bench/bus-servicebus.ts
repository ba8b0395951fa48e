import {
  isServiceBusError,
  ServiceBusClient,
  type ServiceBusMessage,
  type ServiceBusSessionReceiver,
} from '@azure/service-bus';
import { sessionOf, toBroker } from '../pkg/bus/servicebus-message.js';
import { createServicebusBus } from '../pkg/bus/servicebus.js';
import { systemClock as clock } from '../pkg/kernel/clock.js';
import { driverWay, policy, type Way } from './bus-way.js';

/** What the driver holds at once, lets the service send of each before it is settled, and gives back when idle. */
export const SESSIONS = 32;
const CREDIT = 32;
const IDLE_MS = 100;
const BATCH_BYTES = 192 * 1024;
const ACCEPT_MS = 1_000;

export const driver: Way = driverWay((place) =>
  createServicebusBus({
    ...policy,
    servicebus: { connectionString: place.address, namespace: null },
    name: place.name,
    acceptMs: ACCEPT_MS,
  }),
);

/** The SDK with the same messages: a batch per session of a call, side by side; sessions held side by side, each message completed. */
export const bare: Way = {
  publisher: async (place, calls) => {
    const client = new ServiceBusClient(place.address);
    const sender = client.createSender(place.name);
    const prepared = calls.map((call) => {
      const sessions = new Map<string, ServiceBusMessage[]>();
      for (const message of call) {
        const session = sessionOf(message);
        sessions.set(session, [...(sessions.get(session) ?? []), toBroker(message)]);
      }
      return [...sessions.values()];
    });
    const sendSession = async (messages: readonly ServiceBusMessage[]): Promise<void> => {
      const batch = await sender.createMessageBatch({ maxSizeInBytes: BATCH_BYTES });
      for (const message of messages)
        if (!batch.tryAddMessage(message)) throw new Error('a call has too much of one session');
      await sender.sendMessages(batch);
    };
    return {
      send: async (call) => {
        await Promise.all((prepared[call] ?? []).map(sendSession));
      },
      close: () => client.close(),
    };
  },
  consume: async (place, role, onBatch) => {
    const client = new ServiceBusClient(place.address, {
      retryOptions: { maxRetries: 0, timeoutInMs: ACCEPT_MS },
    });
    let isClosed = false;
    const accept = async (): Promise<void> => {
      while (!isClosed) {
        try {
          const session = await client.acceptNextSession(place.name, role, {
            maxAutoLockRenewalDurationInMs: 0,
            skipParsingBodyAsJson: true,
          });
          await work(session, onBatch);
        } catch (error) {
          if (!isServiceBusError(error) || error.code !== 'ServiceTimeout') throw error;
        }
      }
    };
    const ended = Promise.all(Array.from({ length: SESSIONS }, accept));
    return {
      close: async () => {
        isClosed = true;
        await ended;
        await client.close();
      },
    };
  },
};

async function work(session: ServiceBusSessionReceiver, onBatch: (count: number) => void): Promise<void> {
  let heardAtMs = performance.now();
  let isOver = false;
  session.subscribe(
    {
      processMessage: async (message) => {
        heardAtMs = performance.now();
        onBatch(1);
        await session.completeMessage(message);
      },
      processError: async ({ error }) => {
        // One that comes while the session is given back comes again.
        if (!isOver) throw error;
      },
    },
    { autoCompleteMessages: false, maxConcurrentCalls: CREDIT },
  );
  while (performance.now() - heardAtMs < IDLE_MS)
    await clock.sleep(Math.max(1, heardAtMs + IDLE_MS - performance.now()));
  isOver = true;
  await session.close();
}
