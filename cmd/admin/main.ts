#!/usr/bin/env node
import { openBus } from '../bus.js';
import { runService } from '../service.js';
import { composeAdmin } from './compose.js';

await runService('admin', async (platform) => composeAdmin(platform, await openBus(platform, 'reads')));
