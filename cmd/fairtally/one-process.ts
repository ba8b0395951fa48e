import { rolesWithUnread } from '../../pkg/bus/postgres.js';
import { FairtallyError } from '../../pkg/kernel/errors.js';
import type { Database } from '../../pkg/postgres/port.js';
import { startMetricsServer } from '../../pkg/runtime/metrics.js';
import { openBus } from '../bus.js';
import { composeGateway } from '../gateway/compose.js';
import { createProcess, openPlatform, tellReady } from '../platform.js';
import { runMain } from '../run-main.js';
import { composeWorker } from '../worker/compose.js';

/** Events that wait on the durable bus would be left behind by a start with the volatile one. */
async function refuseUnread(db: Database): Promise<void> {
  const [role] = await rolesWithUnread(db);
  if (role === undefined) return;
  throw new FairtallyError(
    'events_unread',
    `${String(role.waiting)} events wait for ${role.role} on the postgres bus: run with BUS=postgres until nothing waits`,
  );
}

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
    await refuseUnread(platform.db);
    const bus = openBus(platform);
    await composeWorker(platform, bus);
    await composeGateway(platform, bus);
    lifecycle.onStop('readiness', () => health.drain());
    tellReady(process);
  });
});
