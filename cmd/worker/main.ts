#!/usr/bin/env node
import { openBus, refuseVolatileBus } from '../bus.js';
import { runService } from '../service.js';
import { composeWorker } from './compose.js';

await runService(
  'worker',
  async (platform) => composeWorker(platform, await openBus(platform, 'reads')),
  refuseVolatileBus,
);
