import { Latest } from '../../pkg/admission/latest.js';
import type { LoadLimits } from '../../pkg/admission/load-rule.js';
import { LoadWatch } from '../../pkg/admission/load-watch.js';
import type { LoadGate } from '../../pkg/admission/port.js';
import { PublishWait } from '../../pkg/admission/publish-wait.js';
import type { Bus } from '../../pkg/bus/port.js';
import { FairtallyError } from '../../pkg/kernel/errors.js';
import { ROLES } from '../../pkg/kernel/roles.js';
import type { OverloadSettings } from '../../pkg/runtime/config.js';
import { freeDiskBytes } from '../../pkg/runtime/free-disk.js';
import { watchLoopDelay } from '../../pkg/runtime/loop-delay.js';
import { refreshInBackground, type Platform } from '../platform.js';

const LOOK_EVERY_MS = 500;
const DISK_EVERY_MS = 2_000;
const LAG_EVERY_MS = 5_000;
/** Readings that fail or hang are missed this often; then nothing is known, and nothing is shed for it. */
const MISSED_MAX = 3;
const MIB = 1024 * 1024;

export interface Load {
  readonly gate: LoadGate;
  /** The bus to publish on, so that it is known how long it takes. */
  readonly bus: Pick<Bus, 'publish'>;
}

/** What a gateway looks at to know that it is past what it can do. */
export async function composeLoad(platform: Platform, bus: Bus): Promise<Load> {
  const { config, clock, metrics, logger, lifecycle, health } = platform;
  const limits = limitsOf(config.overload);
  const publishWait = new PublishWait(clock);
  const loopDelay = watchLoopDelay();
  lifecycle.onStop('event loop delay', () => loopDelay.close());
  const unapplied = new Latest(clock, LAG_EVERY_MS * MISSED_MAX);
  const freeDisk = new Latest(clock, DISK_EVERY_MS * MISSED_MAX);
  const { diskFolder } = config.overload;

  if (limits.maxUnappliedMs !== null) {
    const read = async (): Promise<void> => unapplied.set(await oldestUnappliedMs(bus, () => clock.now()));
    refreshInBackground('the age of what is not applied', read, LAG_EVERY_MS, platform);
  }
  const watch = new LoadWatch({
    signals: () => ({
      loopDelayMs: loopDelay.take(),
      unappliedMs: unapplied.get(),
      freeDiskBytes: freeDisk.get(),
    }),
    limits,
    publishWait,
    metrics,
    logger,
  });
  if (limits.minFreeDiskBytes !== null && diskFolder !== null) {
    const read = async (): Promise<void> => freeDisk.set(await freeDiskBytes(diskFolder));
    await read().catch(() => undefined); // the next one, in a moment, tells
    refreshInBackground('free disk space', read, DISK_EVERY_MS, platform);
    health.addCheck('disk', async () => {
      if (watch.overloads.includes('disk'))
        throw new FairtallyError('storage_full', `${diskFolder} has less free space than DISK_FREE_MB`);
    });
  }
  refreshInBackground('load', async () => watch.look(), LOOK_EVERY_MS, platform);
  return { gate: watch, bus: publishWait.around(bus) };
}

function limitsOf(settings: OverloadSettings): LoadLimits {
  const { loopDelayMaxMs, unappliedMaxSeconds, diskFreeMinMb } = settings;
  return {
    maxLoopDelayMs: loopDelayMaxMs,
    maxUnappliedMs: unappliedMaxSeconds === null ? null : unappliedMaxSeconds * 1_000,
    minFreeDiskBytes: diskFreeMinMb === null ? null : diskFreeMinMb * MIB,
  };
}

/** Of all roles, whoever runs them. */
async function oldestUnappliedMs(bus: Bus, now: () => number): Promise<number> {
  let oldestMs = 0;
  for (const role of ROLES) {
    const { oldestPublishedAtMs } = await bus.lag(role);
    if (oldestPublishedAtMs !== null) oldestMs = Math.max(oldestMs, now() - oldestPublishedAtMs);
  }
  return oldestMs;
}
