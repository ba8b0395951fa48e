import { systemClock as clock } from '../pkg/kernel/clock.js';
import { freePort } from '../pkg/testkit/postgres-server.js';
import type { TestProcess } from '../pkg/testkit/processes.js';
import { DEMO_SECRET, startStack } from '../pkg/testkit/stack.js';
import type { Bench } from './bench.js';
import { startChild } from './children.js';
import { percentile, type Figure } from './figure.js';
import type { LoaderQuestion, Prepared, Sent } from './loader.js';
import { freshDatabase } from './servers.js';
import { startPart } from './stack.js';
import { probe } from './visible.js';

const EVENTS_PER_SECOND = 100;
const CONNECTIONS = 16;
const SECONDS = 10;
const WARM_MS = 500;

/**
 * From the 202 of a new player's event to the board that shows the player, over one bus: real gateway and worker processes
 * with all roles, at a modest rate.
 *
 * @param env of both processes: BUS and its fellows
 */
export async function busVisible(
  bench: Bench,
  bus: string,
  env: Readonly<Record<string, string>>,
): Promise<Figure> {
  const { postgres, redis } = await bench.servers();
  const database = await freshDatabase(postgres, 2);
  const running = await startStack({ database, env, ...(redis === null ? {} : { redisUrl: redis.url }) });
  const loader = await startChild('loader.js', [], null);
  const port = await freePort();
  const parts: TestProcess[] = [];
  try {
    parts.push(await startPart('worker', running.env, bench));
    parts.push(await startPart('gateway', { ...running.env, PORT: String(port) }, bench));
    const url = `http://127.0.0.1:${String(port)}`;
    const key = { keyId: 'demo', secret: DEMO_SECRET };
    // Groups are joined and connections made when it ends.
    await probe(url, key, WARM_MS);
    const requests = EVENTS_PER_SECOND * (SECONDS + 1);
    const prepare: LoaderQuestion = { kind: 'prepare', requests, eventsPerRequest: 1, key };
    await loader.ask<Prepared>(prepare);
    const pace = { connections: CONNECTIONS, maxSeconds: SECONDS, perSecond: EVENTS_PER_SECOND };
    const question: LoaderQuestion = { kind: 'send', port, ...pace };
    const load = loader.ask<Sent>(question);
    await clock.sleep(1_000);
    const { latenciesMs, missing } = await probe(url, key, (SECONDS - 2) * 1000);
    const sent = await load;
    if (missing > 0) throw new Error(`${String(missing)} players never stood on the board`);
    const [p50, p99] = [percentile(latenciesMs, 0.5), percentile(latenciesMs, 0.99)];
    return {
      name: `${bus}: 202 to visible on the board`,
      measured: `p50 ${p50.toFixed(0)} ms, p99 ${p99.toFixed(0)} ms`,
      limit: '',
      value: NaN,
      goal: null,
      note:
        `${String(latenciesMs.length)} players looked for; ${String(EVENTS_PER_SECOND)} events/s meanwhile, ` +
        `answered with p99 ${sent.p99Ms.toFixed(0)} ms`,
    };
  } finally {
    for (const part of parts) part.kill('SIGTERM');
    await Promise.all([loader.stop(), ...parts.map(({ exited }) => exited)]);
    await running.close();
  }
}
