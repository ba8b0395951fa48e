import { systemClock } from '../../kernel/clock.js';
import { systemRandom } from '../../kernel/random.js';
import type { TestProcess } from '../processes.js';
import type { Stack } from '../stack.js';

/** Something that comes back whenever it is killed. */
export type Crash = () => Promise<void>;

export interface Services {
  readonly urls: readonly string[];
  readonly gateways: readonly Crash[];
  readonly workers: readonly Crash[];
}

/** Each process is a service that comes back: a gateway on its own port, so that its clients find it again. */
export async function startServices(stack: Stack): Promise<Services> {
  const gateways = await Promise.all([stack.startGateway(), stack.startGateway()]);
  const workers = await Promise.all([stack.startWorker(), stack.startWorker()]);
  return {
    urls: gateways.map(({ url }) => url),
    gateways: gateways.map((gateway) =>
      reviver(gateway.process, async () => (await stack.startGateway(gateway.port)).process),
    ),
    workers: workers.map((worker) => reviver(worker, () => stack.startWorker())),
  };
}

const STARTS_MAX = 100;

/** It may find the database away and give up: an orchestrator would start it again, and so do we. */
function reviver(first: TestProcess, start: () => Promise<TestProcess>): Crash {
  let current = first;
  return async () => {
    current.kill('SIGKILL');
    await current.exited;
    for (let attempt = 1; ; attempt += 1) {
      try {
        current = await start();
        return;
      } catch (error) {
        if (attempt === STARTS_MAX) throw error;
        await systemClock.sleep(100);
      }
    }
  };
}

/** How many may be down at the same time: something is left that can go wrong together with them. */
const DOWN_MAX = 2;

/** Kills what is up, never waiting for its return: other faults meet a system that is still coming back. */
export class CrashGround<Kind extends string> {
  private readonly down = new Map<Crash, Promise<void>>();
  private readonly failures: unknown[] = [];

  constructor(private readonly crashes: Readonly<Record<Kind, readonly Crash[]>>) {}

  /** False when all of the kind are down, or enough is. @throws what kept something from coming back */
  kill(kind: Kind): boolean {
    if (this.failures.length > 0) throw this.failures[0];
    const up = this.crashes[kind].filter((crash) => !this.down.has(crash));
    const crash = up[Math.floor(systemRandom.unit() * up.length)];
    if (crash === undefined || this.down.size >= DOWN_MAX) return false;
    const back = crash()
      .catch((error: unknown) => void this.failures.push(error))
      .finally(() => this.down.delete(crash));
    this.down.set(crash, back);
    return true;
  }

  /** Resolves when all is up again. @throws what kept something from coming back */
  async healed(): Promise<void> {
    await Promise.all(this.down.values());
    if (this.failures.length > 0) throw this.failures[0];
  }
}
