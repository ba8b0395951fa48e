import { startMetricsServer } from '../../pkg/runtime/metrics.js';
import { openBus } from '../bus.js';
import { composeGateway } from '../gateway/compose.js';
import { createProcess, openPlatform, tellReady } from '../platform.js';
import { runMain } from '../run-main.js';
import { composeWorker } from '../worker/compose.js';

/** Gateway and roles in one process, for the memory bus, which reaches no further. */
await runMain(async () => {
  const process = createProcess('gateway and worker');
  const { config, lifecycle, metrics, health } = process;
  await lifecycle.run(async () => {
    const metricsServer = await startMetricsServer(
      metrics,
      config.http.host,
      config.http.metricsPort,
      health,
    );
    lifecycle.onStop('metrics', () => metricsServer.close());
    const platform = await openPlatform(process);
    const bus = openBus(platform);
    await composeWorker(platform, bus);
    await composeGateway(platform, bus);
    lifecycle.onStop('readiness', () => health.drain());
    tellReady(process);
  });
});
