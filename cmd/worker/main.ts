#!/usr/bin/env node
import { FairtallyError } from '../../pkg/kernel/errors.js';
import { startMetricsServer } from '../../pkg/runtime/metrics.js';
import { openBus } from '../bus.js';
import { createProcess, openPlatform, tellReady } from '../platform.js';
import { runMain } from '../run-main.js';
import { composeWorker } from './compose.js';

await runMain(async () => {
  const process = createProcess('worker');
  const { config, lifecycle, metrics, health } = process;
  await lifecycle.run(async () => {
    if (config.bus === 'memory')
      throw new FairtallyError('memory_bus', 'BUS=memory lives in one process: use `fairtally run`');
    const metricsServer = await startMetricsServer(
      metrics,
      config.http.host,
      config.http.metricsPort,
      health,
    );
    lifecycle.onStop('metrics', () => metricsServer.close());
    const platform = await openPlatform(process);
    await composeWorker(platform, openBus(platform));
    lifecycle.onStop('readiness', () => health.drain());
    tellReady(process);
  });
});
