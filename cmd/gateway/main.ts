#!/usr/bin/env node
import { openBus, refuseVolatileBus } from '../bus.js';
import { runService } from '../service.js';
import { composeGateway } from './compose.js';
import { keepHeapSmall } from './heap.js';

keepHeapSmall();
await runService(
  'gateway',
  async (platform) => composeGateway(platform, await openBus(platform, 'publishes')),
  refuseVolatileBus,
);
