import { startMetricsServer } from '../pkg/runtime/metrics.js';
import { createProcess, openPlatform, tellReady, type Platform, type Process } from './platform.js';
import { runMain } from './run-main.js';

/** What a service does between opening the shared parts and telling that it is ready. */
export type Compose = (platform: Platform) => Promise<unknown>;

/**
 * The life of a service: metrics and health first, then the shared parts, then what `compose` adds. When it stops, readiness
 * goes off before anything is released.
 *
 * @param check refuses a configuration that this service cannot run with
 */
export const runService = (
  name: string,
  compose: Compose,
  check: (process: Process) => void = () => undefined,
): Promise<void> =>
  runMain(async () => {
    const process = createProcess(name);
    const { config, lifecycle, metrics, health } = process;
    await lifecycle.run(async () => {
      check(process);
      const { host, metricsPort } = config.http;
      const metricsServer = await startMetricsServer(metrics, host, metricsPort, health);
      lifecycle.onStop('metrics', () => metricsServer.close());
      await compose(await openPlatform(process));
      lifecycle.onStop('readiness', () => health.drain());
      tellReady(process);
    });
  });
