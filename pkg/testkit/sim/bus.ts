import { DEFAULT_BACKOFF, DEFAULT_MAX_ATTEMPTS, deliver } from '../../bus/deliver.js';
import { checkMessageIds, checkMessages } from '../../bus/message.js';
import type { BatchHandler, Bus, BusMessage, DeadLetterSink, Subscription } from '../../bus/port.js';
import { FairtallyError, OutageError } from '../../kernel/errors.js';
import { ROLES, type RoleName } from '../../kernel/roles.js';
import type { Logger } from '../../runtime/port.js';
import type { Broker, Taken } from './broker.js';
import type { SimNode } from './node.js';

const away = (why: string): OutageError => new OutageError('The simulated bus', new Error(why));
const RENEW_EVERY_MS = 2_000;

export interface SimBusOptions {
  readonly node: SimNode;
  readonly broker: Broker;
  readonly deadLetters: DeadLetterSink;
  readonly logger: Logger;
  readonly batchMax: number;
  /** What is acknowledged, given what was settled: the same, unless a bug is to be shown. */
  readonly acknowledged?: (settled: readonly boolean[]) => readonly boolean[];
}

/** One process's way to the broker, with the production rules of delivery (pkg/bus/deliver.ts). */
export function createSimBus({
  node,
  broker,
  deadLetters,
  logger,
  batchMax,
  acknowledged = (settled) => settled,
}: SimBusOptions): Bus {
  const { world } = node;
  const { chance } = world;
  const latencyMs = (): number =>
    world.swarm.latencyMs * chance.between(0.2, 1.8) +
    (world.strikes('bus.delay') ? chance.between(50, 20_000) : 0);

  const call = <T>(point: string, act: () => T): Promise<T> =>
    node.ask<T>(point, ({ resolve, reject }) => {
      world.after(latencyMs(), `${node.name} ${point}`, () => {
        if (!broker.isUp) return reject(away('the broker is away'));
        try {
          resolve(act());
        } catch (error) {
          reject(error);
        }
      });
    });

  const sendTo = (messages: readonly BusMessage[], roles: readonly RoleName[]): Promise<void> =>
    node
      .ask<undefined>('bus publish', ({ resolve, reject }) => {
        world.after(latencyMs(), `${node.name} bus publish`, () => {
          if (!broker.isUp || world.strikes('bus.publish-refused')) return reject(away('refused'));
          broker.store(messages, roles);
          if (world.strikes('bus.publish-twice')) broker.store(messages, roles);
          if (world.strikes('bus.publish-unknown')) return reject(away('stored, but the answer is lost'));
          world.after(latencyMs(), `${node.name} bus published`, () => {
            world.wantsTurns(); // the gateway answers at the end of a turn
            resolve(undefined);
          });
        });
      })
      .then(() => undefined);

  const member = (role: RoleName, handler: BatchHandler): Subscription => {
    const closing = new AbortController();
    const { signal } = closing;
    const policy = {
      maxAttempts: DEFAULT_MAX_ATTEMPTS,
      backoff: DEFAULT_BACKOFF,
      ...{ deadLetters, clock: node.clock, random: node.random, logger, role, signal },
    };
    const { life } = node;
    const work = async (): Promise<void> => {
      const taken = await call(`${role} receive`, () => {
        if (life !== node.life) broker.expireLater(); // it died while its request was on the way: nobody hears the answer
        return broker.receive(role, batchMax);
      });
      if (taken.length === 0) return idle();
      const renewing = keepRenewed(taken);
      const forget = node.onEnd(() => broker.expireLater());
      try {
        const deliveries = taken.flatMap(({ stored }) => stored.map((one) => broker.deliveryOf(one)));
        const settled = await deliver(deliveries, handler, policy);
        await call(`${role} ack`, () => {
          if (world.strikes('bus.ack-lost')) throw away('the acknowledgement was lost');
          broker.acknowledge(taken, acknowledged(settled));
          if (world.strikes('bus.ack-unknown')) throw away('the answer to the acknowledgement was lost');
        });
      } finally {
        renewing.abort(null); // without a reason an error is made up, stack and all
        forget();
        broker.giveBack(taken);
      }
    };
    const idle = (): Promise<void> =>
      node.ask<undefined>(`${role} idle`, ({ resolve }) => broker.onWork(role, () => resolve(undefined)));
    const run = async (): Promise<void> => {
      while (!signal.aborted) {
        await work().catch((error: unknown) => {
          if (!(error instanceof OutageError)) throw error;
        });
      }
    };
    const keepRenewed = (taken: readonly Taken[]): AbortController => {
      const stop = new AbortController();
      void (async () => {
        while (!stop.signal.aborted) {
          if (broker.isUp) broker.renew(taken);
          await node.clock.sleep(RENEW_EVERY_MS, stop.signal);
        }
      })();
      return stop;
    };
    const ended = run();
    return {
      close: () => {
        closing.abort();
        return ended;
      },
    };
  };

  return {
    publish: async (messages) => {
      checkMessages(messages);
      checkMessageIds(messages);
      if (!broker.sendsPerRole) return sendTo(messages, ROLES);
      // As the SQS driver does: the archive's queue first, so that whatever is anywhere is in the archive.
      await sendTo(messages, ['archive']);
      if (world.strikes('bus.publish-partial')) throw away('only the archive has it');
      await Promise.all(ROLES.slice(1).map((role) => sendTo(messages, [role])));
    },
    subscribe: async (role, handler) => member(role, handler),
    lag: (role) => call('bus lag', () => broker.lag(role)),
    ping: () => call('bus ping', () => undefined),
    close: () =>
      Promise.reject(new FairtallyError('not_simulated', 'nodes of the simulation are killed, not closed')),
  };
}
