import { systemClock } from '../kernel/clock.js';
import { systemRandom } from '../kernel/random.js';
import { eventually } from '../testkit/eventually.js';
import { quietLogger } from '../testkit/quiet.js';
import { startSqsEndpoint } from '../testkit/sqs-endpoint.js';
import { startTcpProxy } from '../testkit/tcp-proxy.js';
import { busContract } from './contract.js';
import { createSqsOperator } from './sqs-operator.js';
import { REQUEST_TRIES } from './sqs-queue.js';
import { createSqsBus, type SqsBusOptions } from './sqs.js';

const common = {
  clock: systemClock,
  random: systemRandom,
  logger: quietLogger,
  name: 'game-events',
  backoff: { baseMs: 1, capMs: 4 },
  waitSeconds: 1,
  publishTimeoutMs: 30_000,
} satisfies Partial<SqsBusOptions>;

busContract({
  name: 'sqs',
  isConcurrent: true,
  makeBus: async (settings) => {
    const endpoint = await startSqsEndpoint();
    const operator = createSqsOperator({ sqs: endpoint.client, name: common.name, maxAttempts: 3 });
    await operator.create();
    await operator.close();
    const proxy = await startTcpProxy(endpoint.port);
    const through = { ...endpoint.client, endpoint: `http://127.0.0.1:${String(proxy.port)}` };
    const start = (sqs: SqsBusOptions['sqs']): ReturnType<typeof createSqsBus> =>
      createSqsBus({ ...common, ...settings, sqs });
    const buses = [start(through)];
    return {
      bus: buses[0] as ReturnType<typeof createSqsBus>,
      second: async () => {
        const other = start(endpoint.client);
        buses.push(other);
        return other;
      },
      outage: {
        // Who is away extends nothing, so after a while all that it had in hand is for others.
        down: async () => {
          await proxy.down();
          await eventually('the endpoint noticed', async () => (await endpoint.connections()) === 0);
          endpoint.expire();
        },
        up: proxy.up,
      },
      loseReply: (text) => {
        for (let n = 0; n < REQUEST_TRIES; n += 1) void proxy.cutAfter(text, 'answered');
      },
      close: async () => {
        await Promise.all(buses.map((bus) => bus.close()));
        await proxy.close();
        await endpoint.close();
      },
    };
  },
});
