import { ROLES, type RoleName } from '../pkg/kernel/roles.js';
import type { Database } from '../pkg/postgres/port.js';
import { freePort } from '../pkg/testkit/postgres-server.js';
import { startProcess, type TestProcess } from '../pkg/testkit/processes.js';
import { DEMO_SECRET, startStack, type Stack } from '../pkg/testkit/stack.js';
import type { Bench, Servers } from './bench.js';
import { built, processorSeconds, residentBytes, startChild, type Child } from './children.js';
import { mebibytes, median, perSecond, type Figure } from './figure.js';
import { run, startServer, type Server } from './ingest.js';
import type { LoaderQuestion, Prepared, Sent } from './loader.js';
import { freshDatabase } from './servers.js';
import { visible } from './visible.js';

/** A burst has many clients: their events share the commits of the bus. */
const CONNECTIONS = 256;
const BURST_SECONDS = 30;
const WARM_SECONDS = 4;
const BARE_REQUESTS = 60_000;
const [PREPARED_MIN, PREPARED_MAX] = [150_000, 400_000];
const DRAIN_MAX_MS = 90_000;
const SAMPLE_MS = 100;
const GATEWAY_MAX_MB = 200;

/** The real gateway and worker on PostgreSQL under a burst, then at a steady rate; their memory meanwhile. */
export async function stack(bench: Bench): Promise<readonly Figure[]> {
  const servers = await bench.servers();
  const database = await freshDatabase(servers.postgres, 5);
  const running = await startStack({
    database,
    ...(servers.redis === null ? {} : { redisUrl: servers.redis.url }),
  });
  const loader = await startChild('loader.js', [], null);
  const bare = await startServer('bare', []);
  const port = await freePort();
  const gateway = await startPart('gateway', { ...running.env, PORT: String(port) }, bench);
  const worker = await startPart('worker', running.env, bench);
  try {
    const parts = { bench, servers, running, loader, bare, gateway, worker, port };
    const memory = watchMemory(parts);
    const burst = await underBurst(parts);
    const shown = await visible({ bench, loader, port, stack: running, slowest: burst.slowest });
    return [...burst.figures, ...shown, ...memory.end()];
  } finally {
    for (const part of [gateway, worker]) part.kill('SIGTERM');
    await Promise.all([gateway.exited, worker.exited, loader.stop(), bare.child.stop()]);
    await running.close();
  }
}

/** A gateway or worker of the build, once it is ready. */
export async function startPart(
  name: 'gateway' | 'worker',
  env: Readonly<Record<string, string>>,
  bench: Bench,
): Promise<TestProcess> {
  const part = startProcess(name, [...bench.nodeArgs, built(`cmd/${name}/main.js`)], env);
  await part.waitFor(new RegExp(`${name} is ready`));
  return part;
}

interface Parts {
  readonly bench: Bench;
  readonly servers: Servers;
  readonly running: Stack;
  readonly loader: Child;
  readonly bare: Server;
  readonly gateway: TestProcess;
  readonly worker: TestProcess;
  readonly port: number;
}

/** What a role did of the burst: its rate counts from the first request to its last settled event. */
export interface SlowestRole {
  readonly role: RoleName;
  readonly perSecond: number;
}

async function underBurst(parts: Parts): Promise<{ figures: Figure[]; slowest: SlowestRole }> {
  const { bench, running, loader, bare } = parts;
  const limitOnce = async (): Promise<number> =>
    (await run(loader, bare, { requests: BARE_REQUESTS, eventsPerRequest: 1, connections: CONNECTIONS }))
      .rate;
  await limitOnce();
  bench.tell('burst: warming up');
  const warm = await send(parts, 40_000, WARM_SECONDS);
  await running.drained(DRAIN_MAX_MS);
  const limits = [await limitOnce()];

  const cpuBefore = processorOf(parts);
  const watched = watchLag(running.db);
  bench.tell(`burst: ${String(BURST_SECONDS)} s`);
  const wanted = 2 * BURST_SECONDS * (warm.sent / warm.seconds);
  const requests = Math.max(PREPARED_MIN, Math.min(PREPARED_MAX, wanted));
  const sent = await send(parts, requests, BURST_SECONDS, () => watched.begin());
  const lagAtEnd = await lagOf(running.db);
  bench.tell(`burst: ${perSecond(sent.sent / sent.seconds, 'events')}; lag ${JSON.stringify(lagAtEnd)}`);
  await running.drained(DRAIN_MAX_MS);
  const drainedMs = watched.end();
  const cpu = processorOf(parts).map(([name, seconds], i) => {
    const used = seconds - (cpuBefore[i]?.[1] ?? 0);
    return `${name} ${((used / sent.sent) * 1e6).toFixed(0)} us`;
  });
  limits.push(await limitOnce());
  await running.db.query('CHECKPOINT'); // what the burst left to write is no part of what comes next

  const slowest = ROLES.map((role) => ({
    role,
    perSecond: sent.sent / ((drainedMs.get(role) ?? NaN) / 1000),
  }));
  slowest.sort((a, b) => a.perSecond - b.perSecond);
  const [first] = slowest;
  if (first === undefined) throw new Error('there are no roles');
  const drainSeconds = Math.max(...drainedMs.values()) / 1000 - sent.seconds;
  const limit = median(limits);
  const lag = Object.entries(lagAtEnd).map(([role, waiting]) => `${role} ${String(waiting)}`);
  bench.tell(`burst: drained after ${drainSeconds.toFixed(1)} s`);
  return {
    slowest: first,
    figures: [
      {
        name: `single signed ingest, postgres bus, ${sent.seconds.toFixed(0)} s burst, all roles on`,
        measured: `${perSecond(sent.sent / sent.seconds, 'events')}, p50 ${sent.p50Ms.toFixed(1)} ms, p99 ${sent.p99Ms.toFixed(1)} ms`,
        limit: `bare node:http listener: ${perSecond(limit, 'requests')}`,
        value: sent.sent / sent.seconds / limit,
        goal: { kind: 'atLeast', value: 0.25, unit: '' },
        note:
          `${String(CONNECTIONS)} connections; ${String(sent.sent)} events; lag at its end: ${lag.join(', ')}; drained ${drainSeconds.toFixed(1)} s later; ` +
          `slowest role: ${first.role}, ${perSecond(first.perSecond, 'events')} from the burst's beginning to its last event; ` +
          `processor time per event: ${cpu.join(', ')}`,
      },
    ],
  };
}

async function send(
  { loader, port }: Parts,
  requests: number,
  maxSeconds: number,
  onBegin?: () => void,
): Promise<Sent> {
  const key = { keyId: 'demo', secret: DEMO_SECRET };
  const prepare: LoaderQuestion = {
    kind: 'prepare',
    requests: Math.ceil(requests),
    eventsPerRequest: 1,
    key,
  };
  await loader.ask<Prepared>(prepare);
  onBegin?.();
  const question: LoaderQuestion = { kind: 'send', port, connections: CONNECTIONS, maxSeconds };
  const sent = await loader.ask<Sent>(question);
  if (sent.refused > 0) throw new Error(`${String(sent.refused)} requests were not answered 202`);
  return sent;
}

/** Processor seconds so far; empty where the system does not tell. */
function processorOf({ servers, gateway, worker, loader }: Parts): (readonly [string, number])[] {
  const seconds: (readonly [string, number | null])[] = [
    ['gateway', processorSeconds(gateway.pid)],
    ['worker', processorSeconds(worker.pid)],
    ['PostgreSQL', processorSeconds(servers.postgres.pid)],
    ['loader', processorSeconds(loader.pid)],
  ];
  return seconds.flatMap(([name, value]) => (value === null ? [] : [[name, value] as const]));
}

const LAG = `
  SELECT r.role, sum(l.next_position - 1 - coalesce(c.position, 0)) AS waiting
    FROM unnest($1::text[]) AS r (role) CROSS JOIN bus_lanes l
    LEFT JOIN bus_cursors c ON c.role = r.role AND c.lane = l.lane
   GROUP BY r.role`;

async function lagOf(db: Database): Promise<Record<string, number>> {
  const rows = await db.query<{ role: string; waiting: number }>(LAG, [ROLES]);
  return Object.fromEntries(rows.map(({ role, waiting }) => [role, waiting]));
}

/** When each role had nothing left, in ms since `begin`. */
function watchLag(db: Database): { begin(): void; end(): Map<string, number> } {
  let beganMs = 0;
  const drainedMs = new Map<string, number>();
  let timer: NodeJS.Timeout | undefined;
  const look = async (): Promise<void> => {
    for (const [role, waiting] of Object.entries(await lagOf(db))) {
      if (waiting > 0) drainedMs.delete(role);
      else if (!drainedMs.has(role)) drainedMs.set(role, performance.now() - beganMs);
    }
  };
  return {
    begin: () => {
      beganMs = performance.now();
      timer = setInterval(() => void look(), SAMPLE_MS);
    },
    end: () => {
      clearInterval(timer);
      for (const role of ROLES) if (!drainedMs.has(role)) drainedMs.set(role, performance.now() - beganMs);
      return drainedMs;
    },
  };
}

/** The greatest resident memory of each process from now until `end`. */
function watchMemory({ gateway, worker }: Parts): { end(): Figure[] } {
  const greatest = new Map<string, number>();
  const pids: [string, number][] = [
    ['gateway', gateway.pid],
    ['worker', worker.pid],
  ];
  const timer = setInterval(() => {
    for (const [name, pid] of pids) {
      const bytes = residentBytes(pid);
      if (bytes !== null) greatest.set(name, Math.max(bytes, greatest.get(name) ?? 0));
    }
  }, SAMPLE_MS);
  return {
    end: () => {
      clearInterval(timer);
      return [...greatest].map(([name, bytes]) => ({
        name: `resident memory of the ${name} under load`,
        measured: mebibytes(bytes),
        limit: name === 'gateway' ? `${String(GATEWAY_MAX_MB)} MB` : '',
        value: bytes / 1024 / 1024,
        goal: name === 'gateway' ? { kind: 'atMost', value: GATEWAY_MAX_MB, unit: 'MB' } : null,
        note: 'the greatest seen, burst included',
      }));
    },
  };
}
