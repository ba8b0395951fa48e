import { createServer, type AddressInfo } from 'node:net';
import type { Clock } from '../../pkg/kernel/clock.js';
import { FairtallyError } from '../../pkg/kernel/errors.js';

/** A port that is about to be listened on, and where it is from. */
export interface WantedPort {
  readonly port: number;
  readonly setting: string;
}

/** An installation that was killed a moment ago lets go of its ports within seconds. */
const LET_GO_MS = 5_000;
const LOOK_EVERY_MS = 200;

/**
 * All at once and in one line, where each process would tell of its own port alone.
 *
 * @throws FairtallyError `port_taken` that names each port and its setting, when they are not free within five seconds
 */
export async function waitForPorts(host: string, wanted: readonly WantedPort[], clock: Clock): Promise<void> {
  const until = clock.monotonicMs() + LET_GO_MS;
  let taken = await takenOf(host, wanted);
  while (taken.length > 0 && clock.monotonicMs() < until) {
    await clock.sleep(LOOK_EVERY_MS);
    taken = await takenOf(host, taken);
  }
  if (taken.length === 0) return;
  const named = taken.map(({ port, setting }) => `${String(port)} (${setting})`).join(', ');
  throw new FairtallyError(
    'port_taken',
    `on ${host} another process listens at ${named}: is Fairtally running already? ` +
      'Stop that, or set PORT, ADMIN_PORT and METRICS_PORT to others',
  );
}

async function takenOf(host: string, wanted: readonly WantedPort[]): Promise<WantedPort[]> {
  const taken: WantedPort[] = [];
  for (const one of wanted) if (await isTaken(host, one.port)) taken.push(one);
  return taken;
}

/** Whatever else is wrong with an address, the process that listens there tells. */
const isTaken = (host: string, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'EADDRINUSE'));
    server.listen(port, host, () => server.close(() => resolve(false)));
  });

/** A port that nobody has at this moment. */
export const freePort = (host: string): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, host, () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
