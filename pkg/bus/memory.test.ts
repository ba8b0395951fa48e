import { expect, test } from '@jest/globals';
import { systemClock } from '../kernel/clock.js';
import { OutageError } from '../kernel/errors.js';
import { systemRandom } from '../kernel/random.js';
import { quietLogger } from '../testkit/quiet.js';
import type { BusSettings } from '../testkit/bus-bench.js';
import { busContract } from './contract.js';
import { createMemoryBus, type MemoryBusOptions } from './memory.js';

const common = {
  clock: systemClock,
  random: systemRandom,
  logger: quietLogger,
  backoff: { baseMs: 1, capMs: 4 },
} satisfies Partial<MemoryBusOptions>;

busContract({
  name: 'memory',
  makeBus: async (settings: BusSettings) => {
    const bus = createMemoryBus({ ...common, ...settings });
    return { bus, close: () => bus.close() };
  },
  skip: [
    {
      case: 'row 45: the engine goes away and comes back: publishing is refused meanwhile, nothing is lost',
      reason: 'its engine is this process',
    },
    {
      case: 'row 47: an answer lost after the engine accepted makes a duplicate at most',
      reason: 'there is no answer that could be lost inside one process',
    },
    {
      case: 'a member that is cut off in the middle of a batch has it redelivered to another',
      reason: 'members have no connection that could break',
    },
  ],
});

test('a full role refuses to publish, all or nothing, until it has read', async () => {
  const deadLetters = { put: () => Promise.resolve() };
  const bus = createMemoryBus({ ...common, deadLetters, maxAttempts: 3, roles: ['archive'], waitingMax: 2 });
  const message = { gameId: 'demo', playerId: 'p', messageId: 'm', body: 'b' };
  await bus.publish([message, message]);
  await expect(bus.publish([message])).rejects.toBeInstanceOf(OutageError);
  expect((await bus.lag('archive')).waiting).toBe(2);
  await bus.close();
});
