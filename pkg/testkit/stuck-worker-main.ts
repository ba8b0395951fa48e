// A worker of the product for tests of the watchdog: the bus client of one role never yields anything, and says nothing
// about it. STUCK_ROLE says which, STUCK_SECONDS how long the watchdog waits (less than the configuration allows).
import { openBus, refuseVolatileBus } from '../../cmd/bus.js';
import type { Platform } from '../../cmd/platform.js';
import { runService } from '../../cmd/service.js';
import { composeWorker } from '../../cmd/worker/compose.js';
import type { Bus } from '../bus/port.js';

const { STUCK_ROLE: stuckRole, STUCK_SECONDS: stuckSeconds } = process.env;

const silent = (bus: Bus): Bus => ({
  ...bus,
  subscribe: async (role, handler) =>
    role === stuckRole ? { close: async () => undefined } : bus.subscribe(role, handler),
});

const impatient = (platform: Platform): Platform => ({
  ...platform,
  config: { ...platform.config, bus: { ...platform.config.bus, stuckSeconds: Number(stuckSeconds) } },
});

await runService(
  'worker',
  async (platform) => composeWorker(impatient(platform), silent(await openBus(platform, 'reads'))),
  refuseVolatileBus,
);
