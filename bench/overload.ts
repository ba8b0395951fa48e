import { availableParallelism, cpus } from 'node:os';
import { takes } from '../cmd/fairtally/takes.js';
import { auditGame } from '../pkg/audit/audit.js';
import { rerun } from '../pkg/fairness/rerun.js';
import { createDefinitionSource } from '../pkg/games/definitions/postgres.js';
import { systemClock as clock } from '../pkg/kernel/clock.js';
import { ROLES } from '../pkg/kernel/roles.js';
import type { Database } from '../pkg/postgres/port.js';
import { freePort } from '../pkg/testkit/postgres-server.js';
import { DEMO_SECRET, startStack, type Stack } from '../pkg/testkit/stack.js';
import type { Bench } from './bench.js';
import { processorSeconds, residentBytes, startChild, type Child } from './children.js';
import { median, mebibytes, perSecond, type Figure } from './figure.js';
import type { LoaderQuestion, Prepared, Sent } from './loader.js';
import { freshDatabase } from './servers.js';
import { startPart } from './stack.js';

const TIMES = 3;
const SECONDS = 60;
/** Many clients: each waits for its answer, then its turn, before it sends again; every one sends about once a second. */
const CONNECTIONS = { most: 2_000, perSecond: 1 };
const WARM = { seconds: 4, events: 40_000, connections: 256 };
const SUSTAINABLE = { seconds: 15, events: 150_000, connections: 256 };
/** Events in a request: each alone, and a few that a client has gathered. */
const SHAPES = [1, 10] as const;
const DRAIN_MAX_MS = 300_000;
const SAMPLE_MS = 500;
const KEY = { keyId: 'demo', secret: DEMO_SECRET };

interface Parts {
  readonly bench: Bench;
  readonly stack: Stack;
  readonly loader: Child;
  readonly port: number;
  readonly metricsPort: number;
  readonly gatewayPid: number;
  readonly workerPid: number;
  readonly postgresPid: number;
}

/**
 * First the rate that gateway and roles keep up with, then three times as much for a minute from a process of its own that
 * waits for nobody, and what came of it: how much was taken, how long that took, whether it all counted, what it cost.
 */
export async function overload(bench: Bench): Promise<readonly Figure[]> {
  const servers = await bench.servers();
  const database = await freshDatabase(servers.postgres, 5);
  const redis = servers.redis === null ? {} : { redisUrl: servers.redis.url };
  const stack = await startStack({ database, ...redis });
  const loader = await startChild('loader.js', [], null);
  const port = await freePort();
  const metricsPort = await freePort();
  const own = { PORT: String(port), METRICS_PORT: String(metricsPort) };
  const gateway = await startPart('gateway', { ...stack.env, ...own }, bench);
  const worker = await startPart('worker', stack.env, bench);
  try {
    const pids = { gatewayPid: gateway.pid, workerPid: worker.pid, postgresPid: servers.postgres.pid };
    const parts = { bench, stack, loader, port, metricsPort, ...pids };
    const figures: Figure[] = [];
    let accepted = 0;
    for (const perRequest of SHAPES) {
      const outcome = await measure(parts, perRequest, accepted);
      accepted = outcome.exact.accepted;
      figures.push(...figuresOf(outcome));
    }
    return figures;
  } finally {
    for (const part of [gateway, worker]) part.kill('SIGTERM');
    await Promise.all([gateway.exited, worker.exited, loader.stop()]);
    await stack.close();
  }
}

/** `acceptedBefore`: events answered 202 so far. */
async function measure(parts: Parts, perRequest: number, acceptedBefore: number): Promise<Outcome> {
  const { bench, stack } = parts;
  const taken = ({ statuses }: Sent): number => (statuses['202'] ?? 0) * perRequest;
  bench.tell(`overload: warming up, ${eventsIn(perRequest)}`);
  const warm = await send(parts, perRequest, WARM);
  await stack.drained(DRAIN_MAX_MS);
  const beganMs = performance.now();
  let prepared = 0;
  let before = spentBy(parts);
  const kept = await send(parts, perRequest, SUSTAINABLE, () => {
    prepared = performance.now();
    before = spentBy(parts);
  });
  await stack.drained(DRAIN_MAX_MS);
  const perKept = (spentBy(parts).product - before.product) / taken(kept);
  const sustainable = taken(kept) / ((performance.now() - Math.max(beganMs, prepared)) / 1000);
  bench.tell(
    `overload: ${perSecond(sustainable, 'events')} from the first to the last role's last event ` +
      `(${perSecond(taken(kept) / kept.seconds)} answered 202, p99 ${kept.p99Ms.toFixed(0)} ms)`,
  );
  await stack.db.query('CHECKPOINT');

  const rate = TIMES * sustainable;
  const events = Math.ceil(rate * SECONDS);
  const memory = watchMemory(parts.gatewayPid);
  const connections = Math.min(CONNECTIONS.most, Math.ceil(rate / perRequest / CONNECTIONS.perSecond));
  const flooded = await send(parts, perRequest, { seconds: SECONDS, events, connections, rate }, () => {
    bench.tell(`overload: ${perSecond(rate, 'events')} for ${String(SECONDS)} s`);
    memory.begin();
    before = spentBy(parts);
  });
  const { gateway, loader, idle } = spentBy(parts);
  const busy = (gateway - before.gateway) / flooded.seconds;
  const loaderBusy = (loader - before.loader) / flooded.seconds;
  const idleShare = (idle - before.idle) / flooded.seconds / availableParallelism();
  const grown = memory.end();
  bench.tell(`overload: ${JSON.stringify(flooded)}`);
  const shed = await shedFor(parts.metricsPort);
  bench.tell(`overload: ${shed}`);
  const drainBeganMs = performance.now();
  await stack.drained(DRAIN_MAX_MS);
  const drainSeconds = (performance.now() - drainBeganMs) / 1000;
  const perFlooded = (spentBy(parts).product - before.product) / taken(flooded);
  bench.tell(`overload: drained after ${drainSeconds.toFixed(1)} s; audit`);
  const accepted = [warm, kept, flooded].reduce((sum, sent) => sum + taken(sent), acceptedBefore);
  const exact = await whatCounted(stack.db, accepted);
  const spent = { busy, loaderBusy, idleShare, perKept, perFlooded };
  const goodput = taken(flooded) / flooded.seconds;
  return {
    perRequest,
    sustainable,
    rate,
    goodput,
    connections,
    kept,
    flooded,
    shed,
    exact,
    grown,
    drainSeconds,
    ...spent,
  };
}

const eventsIn = (perRequest: number): string =>
  perRequest === 1 ? 'single events' : `batches of ${String(perRequest)}`;

interface Sending {
  readonly seconds: number;
  readonly events: number;
  readonly connections: number;
  /** Events per second; absent: as fast as answers come. */
  readonly rate?: number;
}

async function send(
  { loader, port }: Parts,
  perRequest: number,
  { seconds: maxSeconds, events, connections, rate }: Sending,
  onBegin?: () => void,
): Promise<Sent> {
  const requests = Math.ceil(events / perRequest);
  const prepare: LoaderQuestion = { kind: 'prepare', requests, eventsPerRequest: perRequest, key: KEY };
  await loader.ask<Prepared>(prepare);
  onBegin?.();
  const paced = rate === undefined ? {} : { perSecond: rate / perRequest };
  const question: LoaderQuestion = { kind: 'send', port, connections, maxSeconds, ...paced };
  return loader.ask<Sent>(question);
}

/** What the gateway says it shed for so far. */
async function shedFor(metricsPort: number): Promise<string> {
  const text = await (await fetch(`http://127.0.0.1:${String(metricsPort)}/metrics`)).text();
  const lines = [...text.matchAll(/fairtally_(ingest_shed|overload)_total\{reason="(\w+)"\} (\d+)/g)];
  return lines.map(([, what, reason, count]) => `${what ?? ''} ${reason ?? ''} ${count ?? ''}`).join(', ');
}

interface Counted {
  readonly accepted: number;
  /** Of each role: events in its inbox. */
  readonly applied: readonly number[];
  readonly differences: number;
  readonly letters: number;
}

/** The events of each role's inbox beside the answers 202, and the audit of all that the roles wrote. */
async function whatCounted(db: Database, accepted: number): Promise<Counted> {
  const rows = await db.query<{ applied: number }>(
    `SELECT count(i.identity) AS applied FROM unnest($1::text[]) AS r (role) LEFT JOIN inbox i ON i.role = r.role GROUP BY r.role`,
    [ROLES],
  );
  const definitions = createDefinitionSource(db);
  await definitions.refresh();
  const audit = await auditGame('demo', { db, definitions, clock, takes, rerun });
  return {
    accepted,
    applied: rows.map(({ applied }) => applied),
    differences: audit.differences.length,
    letters: audit.letters.length,
  };
}

interface Outcome {
  /** Events in a request. */
  readonly perRequest: number;
  /** Events per second, as the next two. */
  readonly sustainable: number;
  readonly rate: number;
  readonly goodput: number;
  readonly connections: number;
  /** As fast as answers came, from few connections. */
  readonly kept: Sent;
  readonly flooded: Sent;
  readonly shed: string;
  readonly exact: Counted;
  readonly grown: { readonly early: number; readonly late: number };
  /** Processor seconds per second of the flood. */
  readonly busy: number;
  readonly loaderBusy: number;
  /** Of the machine during the flood. */
  readonly idleShare: number;
  /** Processor seconds of the product for each event taken, until all roles were done. */
  readonly perKept: number;
  readonly perFlooded: number;
  readonly drainSeconds: number;
}

const GOODPUT_MIN = 0.8;
const ACCEPTED_P99_MAX_MS = 1_000;
const MEMORY_GROWTH_MAX = 1.15;

function figuresOf(outcome: Outcome): Figure[] {
  const { sustainable, rate, goodput, connections, kept, flooded, shed, exact, grown, drainSeconds } =
    outcome;
  const overload = `overload, ${eventsIn(outcome.perRequest)}`;
  const wrong = Math.max(
    exact.differences,
    exact.letters,
    ...exact.applied.map((applied) => Math.abs(applied - exact.accepted)),
  );
  const statuses = Object.entries(flooded.statuses).map(([status, count]) => `${status}: ${String(count)}`);
  return [
    {
      name: `${overload}: events taken at ${String(TIMES)} times the sustainable rate, ${String(SECONDS)} s`,
      measured: `${perSecond(goodput, 'events')} of ${perSecond(rate)}`,
      limit: `sustainable: ${perSecond(sustainable, 'events')}`,
      value: goodput / sustainable,
      goal: { kind: 'atLeast', value: GOODPUT_MIN, unit: '' },
      note:
        `${String(connections)} connections, signed before; answers to requests ${statuses.join(', ')} (${shed}); no connection was free at ` +
        `${String(flooded.late)} of ${(flooded.seconds * 500).toFixed(0)} looks; gateway ${(outcome.busy * 100).toFixed(0)}% of a core, ${(outcome.idleShare * 100).toFixed(0)}% of the machine idle; drained ` +
        `${drainSeconds.toFixed(1)} s later`,
    },
    ...perProcessorSecond(outcome),
    {
      name: `${overload}: p99 of what was taken`,
      measured: `p50 ${flooded.p50Ms.toFixed(0)} ms, p99 ${flooded.p99Ms.toFixed(0)} ms`,
      limit: `${String(ACCEPTED_P99_MAX_MS)} ms`,
      value: flooded.p99Ms,
      goal: { kind: 'atMost', value: ACCEPTED_P99_MAX_MS, unit: 'ms' },
      note:
        'from when a request was due, whether or not a connection was free then; while the sustainable rate was measured, from ' +
        `${String(SUSTAINABLE.connections)} connections that wait for their answers: p99 ${kept.p99Ms.toFixed(0)} ms`,
    },
    {
      name: `${overload}: 202 that did not count exactly once`,
      measured: `${String(exact.accepted)} answered 202; in the inboxes of the roles ${exact.applied.join(', ')}`,
      limit: `audit: ${String(exact.differences)} differences, ${String(exact.letters)} dead letters`,
      value: wrong,
      goal: { kind: 'atMost', value: 0, unit: '' },
    },
    {
      name: `${overload}: growth of the gateway’s memory`,
      measured: mebibytes(grown.late),
      limit: `in its second sixth: ${mebibytes(grown.early)}`,
      value: grown.late / grown.early,
      goal: { kind: 'atMost', value: MEMORY_GROWTH_MAX, unit: 'times' },
      note: 'median of resident memory in the last sixth of the overload and in the second',
    },
  ];
}

/**
 * The loader runs on the same processors as the product, so of the rate at which events are taken a part is what the loader
 * left. This is what the product made of its own time: whoever is turned away costs some of it too.
 */
function perProcessorSecond({ perRequest, perKept, perFlooded, loaderBusy }: Outcome): Figure[] {
  if (!Number.isFinite(perKept / perFlooded)) return []; // the system does not tell
  const microseconds = (seconds: number): string => `${(seconds * 1e6).toFixed(0)} us`;
  return [
    {
      name: `overload, ${eventsIn(perRequest)}: events taken for a processor second of the product`,
      measured: `${microseconds(perFlooded)} for each, with what turning away cost`,
      limit: `at the sustainable rate: ${microseconds(perKept)} for each`,
      value: perKept / perFlooded,
      goal: null,
      note:
        'gateway, worker and PostgreSQL, until every role is done; the loader meanwhile took ' +
        `${((loaderBusy / availableParallelism()) * 100).toFixed(0)}% of the machine (${(loaderBusy * 100).toFixed(0)}% of a core)`,
    },
  ];
}

/** Processor seconds so far; NaN where the system does not tell. */
function spentBy({ gatewayPid, workerPid, postgresPid, loader }: Parts): Spent {
  const seconds = (pid: number): number => processorSeconds(pid) ?? NaN;
  const gateway = seconds(gatewayPid);
  return {
    gateway,
    product: gateway + seconds(workerPid) + seconds(postgresPid),
    loader: seconds(loader.pid),
    idle: cpus().reduce((sum, { times }) => sum + times.idle, 0) / 1000,
  };
}

interface Spent {
  readonly gateway: number;
  /** Gateway, worker and PostgreSQL. */
  readonly product: number;
  readonly loader: number;
  /** Of all processors, that nobody used. */
  readonly idle: number;
}

/** Resident memory in the second sixth of a time, when all is warm, and in its last. */
function watchMemory(pid: number): { begin(): void; end(): { early: number; late: number } } {
  const seen: number[] = [];
  let timer: NodeJS.Timeout | undefined;
  return {
    begin: () => {
      timer = setInterval(() => seen.push(residentBytes(pid) ?? NaN), SAMPLE_MS);
    },
    end: () => {
      clearInterval(timer);
      const sixth = Math.floor(seen.length / 6);
      return { early: median(seen.slice(sixth, 2 * sixth)), late: median(seen.slice(-sixth)) };
    },
  };
}
