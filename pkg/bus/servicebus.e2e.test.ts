import { systemClock } from '../kernel/clock.js';
import { systemRandom } from '../kernel/random.js';
import { ROLES } from '../kernel/roles.js';
import { quietLogger } from '../testkit/quiet.js';
import { ServicebusDouble } from '../testkit/servicebus/double.js';
import { letGoOfForgottenTimers } from '../testkit/servicebus/forgotten-timers.js';
import { startTcpProxy } from '../testkit/tcp-proxy.js';
import { busContract } from './contract.js';
import type { Bus } from './port.js';
import { createServicebusBus } from './servicebus.js';

letGoOfForgottenTimers();

const connectionString = (port: number): string =>
  `Endpoint=sb://127.0.0.1:${String(port)};SharedAccessKeyName=a;SharedAccessKey=b;UseDevelopmentEmulator=true;`;

busContract({
  name: 'servicebus',
  isConcurrent: true,
  makeBus: async (settings) => {
    const double = await ServicebusDouble.start();
    double.addTopic('game-events', ROLES);
    const proxy = await startTcpProxy(double.port);
    const start = (port: number): Bus =>
      createServicebusBus({
        ...settings,
        servicebus: { connectionString: connectionString(port), namespace: null },
        name: 'game-events',
        sessionsMax: 8, // so that a session may have a good part of the suite's small batches
        clock: systemClock,
        random: systemRandom,
        logger: quietLogger,
        backoff: { baseMs: 1, capMs: 4 },
      });
    const buses = [start(proxy.port)];
    return {
      bus: buses[0]!,
      second: async () => {
        const bus = start(double.port);
        buses.push(bus);
        return bus;
      },
      outage: proxy,
      loseReply: (text) => double.loseReply(text),
      close: async () => {
        await Promise.all(buses.map((bus) => bus.close()));
        await proxy.close();
        await double.close();
      },
    };
  },
});
