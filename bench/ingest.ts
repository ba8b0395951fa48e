import type { Bench } from './bench.js';
import { startChild, type Child } from './children.js';
import { median, perSecond, type Figure } from './figure.js';
import { BENCH_KEY } from './key.js';
import type { LoaderQuestion, Prepared, Sent } from './loader.js';
import { batchText } from './requests.js';
import type { ServerQuestion } from './server.js';

const CONNECTIONS = 64;
const ROUNDS = 5;
const SINGLES = 40_000;
const WARM_SINGLES = 15_000;
const BATCH = 100;
const BATCHES = 1_200;
const WARM_BATCHES = 400;
const BATCH_CONNECTIONS = 8;
const PARSE_MS = 1_500;
const MAX_SECONDS = 8;
const [SERVER_CORE, LOADER_CORE] = [0, 1];

interface Measured {
  /** Requests per second. */
  readonly rate: number;
  /** Processor microseconds of the server per request: what a busy machine disturbs less. */
  readonly cpuUs: number;
  readonly p99Ms: number;
  readonly bodyBytes: number;
}

/** Single signed events on the memory bus, and batches of 100, each beside its limit. */
export async function ingest(bench: Bench): Promise<readonly Figure[]> {
  const loader = await startChild('loader.js', [], LOADER_CORE);
  const bare = await startServer('bare', []);
  const ours = await startServer('ingest', bench.nodeArgs);
  try {
    return [await singles(bench, loader, bare, ours), await batches(bench, loader, bare, ours)];
  } finally {
    await Promise.all([loader.stop(), bare.child.stop(), ours.child.stop()]);
  }
}

export interface Server {
  readonly child: Child;
  readonly port: number;
}

export async function startServer(kind: 'bare' | 'ingest', nodeArgs: readonly string[]): Promise<Server> {
  const child = await startChild('server.js', [kind], SERVER_CORE, nodeArgs);
  const { port } = await child.ask<{ port: number }>({ kind: 'port' } satisfies ServerQuestion);
  return { child, port };
}

async function singles(bench: Bench, loader: Child, bare: Server, ours: Server): Promise<Figure> {
  const measure = (server: Server, requests: number): Promise<Measured> =>
    run(loader, server, { requests, eventsPerRequest: 1, connections: CONNECTIONS });
  for (const server of [bare, ours]) await measure(server, WARM_SINGLES);
  const limits: Measured[] = [];
  const kept: Measured[] = [];
  for (let round = 1; round <= ROUNDS; round += 1) {
    limits.push(await measure(bare, SINGLES));
    kept.push(await measure(ours, SINGLES));
    tellRound(bench, 'single ingest', round, limits, kept);
  }
  const [limit, mine] = [middle(limits), middle(kept)];
  return {
    name: 'single signed ingest, memory bus',
    measured: `${perSecond(mine.rate, 'events')}, p99 ${mine.p99Ms.toFixed(1)} ms`,
    limit: `bare node:http listener: ${perSecond(limit.rate, 'requests')}, p99 ${limit.p99Ms.toFixed(1)} ms`,
    value: mine.rate / limit.rate,
    goal: { kind: 'atLeast', value: 0.6, unit: '' },
    note:
      `${String(CONNECTIONS)} connections, events of ${mine.bodyBytes.toFixed(0)} bytes; processor time per request ` +
      `${mine.cpuUs.toFixed(1)} us against ${limit.cpuUs.toFixed(1)} us (${(limit.cpuUs / mine.cpuUs).toFixed(2)})`,
  };
}

async function batches(bench: Bench, loader: Child, bare: Server, ours: Server): Promise<Figure> {
  const measure = (requests: number): Promise<Measured> =>
    run(loader, ours, { requests, eventsPerRequest: BATCH, connections: BATCH_CONNECTIONS });
  const body = batchText(BATCH, Date.now());
  const parse = async (): Promise<Measured> => {
    const question: ServerQuestion = { kind: 'parse', body, forMs: PARSE_MS };
    const { timesPerSecond } = await bare.child.ask<{ timesPerSecond: number }>(question);
    return { rate: timesPerSecond, cpuUs: 1e6 / timesPerSecond, p99Ms: 0, bodyBytes: body.length };
  };
  await measure(WARM_BATCHES);
  await parse();
  const limits: Measured[] = [];
  const kept: Measured[] = [];
  for (let round = 1; round <= ROUNDS; round += 1) {
    limits.push(await parse());
    kept.push(await measure(BATCHES));
    tellRound(bench, 'batch ingest', round, limits, kept);
  }
  const [limit, mine] = [middle(limits), middle(kept)];
  return {
    name: 'batch-of-100 ingest, memory bus',
    measured: perSecond(mine.rate * BATCH, 'events'),
    limit: `JSON.parse + HMAC alone, in a loop: ${perSecond(limit.rate * BATCH, 'events')}`,
    value: mine.rate / limit.rate,
    goal: { kind: 'atLeast', value: 0.3, unit: '' },
    note: `${String(BATCH_CONNECTIONS)} connections; processor time per event ${(mine.cpuUs / BATCH).toFixed(2)} us against ${(limit.cpuUs / BATCH).toFixed(2)} us`,
  };
}

export interface RunOptions {
  readonly requests: number;
  readonly eventsPerRequest: number;
  readonly connections: number;
  readonly maxSeconds?: number;
}

/** Prepares, sends, and tells the rate. @throws Error when an answer was not 202 */
export async function run(
  loader: Child,
  { child, port }: Server,
  { requests, eventsPerRequest, connections, maxSeconds = MAX_SECONDS }: RunOptions,
): Promise<Measured> {
  const prepare: LoaderQuestion = { kind: 'prepare', requests, eventsPerRequest, key: BENCH_KEY };
  const { bodyBytes } = await loader.ask<Prepared>(prepare);
  const cpu = async (): Promise<number> => (await child.ask<{ cpuUs: number }>({ kind: 'cpu' })).cpuUs;
  const beforeUs = await cpu();
  const sent = await loader.ask<Sent>({
    kind: 'send',
    port,
    connections,
    maxSeconds,
  } satisfies LoaderQuestion);
  if (sent.refused > 0) throw new Error(`${String(sent.refused)} requests were not answered 202`);
  const cpuUs = ((await cpu()) - beforeUs) / sent.sent;
  return { rate: sent.sent / sent.seconds, cpuUs, p99Ms: sent.p99Ms, bodyBytes };
}

const middle = (rounds: readonly Measured[]): Measured => ({
  rate: median(rounds.map(({ rate }) => rate)),
  cpuUs: median(rounds.map(({ cpuUs }) => cpuUs)),
  p99Ms: median(rounds.map(({ p99Ms }) => p99Ms)),
  bodyBytes: median(rounds.map(({ bodyBytes }) => bodyBytes)),
});

function tellRound(
  bench: Bench,
  name: string,
  round: number,
  limits: readonly Measured[],
  kept: readonly Measured[],
): void {
  const [limit, mine] = [limits.at(-1)?.rate ?? NaN, kept.at(-1)?.rate ?? NaN];
  bench.tell(
    `${name}: round ${String(round)} of ${String(ROUNDS)}: ${perSecond(mine)} against ${perSecond(limit)}: ${(mine / limit).toFixed(2)}`,
  );
}
