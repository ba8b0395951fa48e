import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { takes } from '../../../cmd/fairtally/takes.js';
import { auditGame, type AuditResult } from '../../audit/audit.js';
import { countUnsettled, readEffects } from '../../chaos/effects.postgres.js';
import { History, judge, type Verdict } from '../../chaos/history.js';
import { runKills } from '../../chaos/kills.js';
import { rerun } from '../../fairness/rerun.js';
import { createDefinitionSource } from '../../games/definitions/postgres.js';
import { systemClock } from '../../kernel/clock.js';
import { systemRandom } from '../../kernel/random.js';
import { ROLES } from '../../kernel/roles.js';
import { createDatabase } from '../../postgres/database.js';
import { migrate } from '../../postgres/migrate.js';
import { startPostgresServer } from '../postgres-server.js';
import { built, type TestProcess } from '../processes.js';
import { startRedisServer } from '../redis-server.js';
import type { BrokerForProcesses } from '../season-on-bus.js';
import { eventually, startStack, type Stack } from '../stack.js';

export const VICTIMS = ['gateway', 'worker', 'postgres', 'redis'] as const;
export type Victim = (typeof VICTIMS)[number];

export interface ChaosOptions {
  /** Ends the load; null: when `killsMax` is reached. */
  readonly seconds: number | null;
  readonly killsMax: number;
  readonly clients: number;
  readonly pauseMs: readonly [least: number, most: number];
  /** null: the postgres bus. */
  readonly broker: BrokerForProcesses | null;
  readonly onProgress?: (line: string) => void;
}

export interface ChaosResult {
  readonly verdict: Verdict;
  readonly kills: ReadonlyMap<Victim, number>;
  readonly audit: AuditResult;
  /** Dead letters by reason: an event of this load can never be one. */
  readonly letters: readonly { readonly role: string; readonly reason: string; readonly detail: string }[];
  /** Sums of the same experience, told by three roles in their own tables. */
  readonly sums: { readonly progress: number; readonly ledger: number; readonly board: number };
}

const DRAIN_MS = 90_000;
const TELL_EVERY_MS = 5_000;
const PLAYERS = 40;

/**
 * Two gateways, two workers per role, PostgreSQL with fsync and Redis without persistence; clients in processes of their own
 * post through both gateways; anything is killed with SIGKILL and started again. Then the drain and the verdict.
 */
export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const [postgres, redis] = await Promise.all([startPostgresServer({ fsync: true }), startRedisServer()]);
  const folder = mkdtempSync(join(tmpdir(), 'fairtally-chaos-'));
  const db = createDatabase({ url: postgres.url(), poolSize: 4 });
  try {
    await migrate(db);
    const stack = await startStack({
      redisUrl: redis.url,
      database: { db, url: postgres.url(), close: async () => undefined },
      ...(options.broker === null ? {} : { env: options.broker.env }),
    });
    try {
      const restart = async (server: { kill(): Promise<void>; start(): Promise<void> }): Promise<void> => {
        await server.kill();
        await server.start();
      };
      const services = await startServices(stack);
      const kills = await underLoad(options, folder, services.urls, async (victim) => {
        if (victim === 'postgres') await restart(postgres);
        else if (victim === 'redis') await restart(redis);
        else await services.kill(victim);
      });
      const history = new History();
      for (let n = 0; n < options.clients; n += 1) history.readLines(readFileSync(fileOf(folder, n), 'utf8'));
      return { kills, ...(await afterDrain(stack, history)) };
    } finally {
      await stack.close();
    }
  } finally {
    await db.close();
    await Promise.all([postgres.stop(), redis.stop()]);
    rmSync(folder, { recursive: true, force: true });
  }
}

const fileOf = (folder: string, n: number): string => join(folder, `client-${String(n)}.log`);

interface Services {
  readonly urls: readonly string[];
  /** Kills one of a kind and starts it again. */
  kill(kind: 'gateway' | 'worker'): Promise<void>;
}

/** Each process is a service that comes back: a gateway on its own port, so that its clients find it again. */
async function startServices(stack: Stack): Promise<Services> {
  const gateways = await Promise.all([stack.startGateway(), stack.startGateway()]);
  const workers = await Promise.all([stack.startWorker(), stack.startWorker()]);
  const revivers = {
    gateway: gateways.map((gateway) =>
      reviver(gateway.process, async () => (await stack.startGateway(gateway.port)).process),
    ),
    worker: workers.map((worker) => reviver(worker, () => stack.startWorker())),
  };
  return {
    urls: gateways.map(({ url }) => url),
    kill: async (kind) => {
      const all = revivers[kind];
      await all[Math.floor(systemRandom.unit() * all.length)]?.();
    },
  };
}

const STARTS_MAX = 100;

/** It may find the database away and give up: an orchestrator would start it again, and so do we. */
function reviver(first: TestProcess, start: () => Promise<TestProcess>): () => Promise<void> {
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

async function underLoad(
  { seconds, killsMax, clients, pauseMs, onProgress }: ChaosOptions,
  folder: string,
  urls: readonly string[],
  kill: (victim: Victim) => Promise<void>,
): Promise<ReadonlyMap<Victim, number>> {
  const loads = Array.from({ length: clients }, (_, n) => startClient(n, folder, urls));
  const over = new AbortController();
  const kills = new Map<Victim, number>();
  const startedAtMs = systemClock.monotonicMs();
  const telling = tellEvery(over.signal, () => {
    const second = Math.round((systemClock.monotonicMs() - startedAtMs) / 1000);
    onProgress?.(`${String(second).padStart(4)} s  ${describeKills(kills)}`);
  });
  const timer = seconds === null ? null : systemClock.sleep(seconds * 1000, over.signal);
  void timer?.then(() => over.abort());
  try {
    await runKills<Victim>({
      kinds: ['gateway', 'worker', 'worker', 'gateway', 'postgres', 'worker', 'gateway', 'redis'],
      kill: async (victim) => {
        await kill(victim);
        return true;
      },
      pauseMs,
      killsMax,
      clock: systemClock,
      random: systemRandom,
      signal: over.signal,
      onKill: (victim) => kills.set(victim, (kills.get(victim) ?? 0) + 1),
    });
  } finally {
    over.abort();
    await Promise.all([telling, ...loads.map((load) => load.end())]);
  }
  return kills;
}

export const describeKills = (kills: ReadonlyMap<Victim, number>): string =>
  `killed: ${VICTIMS.map((victim) => `${victim} ${String(kills.get(victim) ?? 0)}`).join(', ')}`;

async function tellEvery(over: AbortSignal, tell: () => void): Promise<void> {
  while (!over.aborted) {
    await systemClock.sleep(TELL_EVERY_MS, over);
    tell();
  }
}

function startClient(n: number, folder: string, urls: readonly string[]): { end(): Promise<void> } {
  const args = ['--name', `c${String(n)}`, '--file', fileOf(folder, n), '--urls', urls.join(',')];
  const child = spawn(
    process.execPath,
    [built('pkg/testkit/chaos/client-main.js'), ...args, '--players', String(PLAYERS)],
    { stdio: ['pipe', 'ignore', 'pipe'] },
  );
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors = (errors + text).slice(-4_000)));
  child.stdin.on('error', () => undefined); // it has ended already, and its exit code says why
  const exited = once(child, 'exit');
  return {
    end: async () => {
      child.stdin.end();
      const [code] = (await exited) as [number | null];
      if (code !== 0) throw new Error(`client ${String(n)} ended with ${String(code)}: ${errors}`);
    },
  };
}

async function afterDrain(stack: Stack, history: History): Promise<Omit<ChaosResult, 'kills'>> {
  const { db } = stack;
  // What was acknowledged may still be on the bus, before the archive: the sets must meet.
  const isDrained = async (): Promise<boolean> => {
    const effects = await readEffects(db, 'demo');
    const found = new Set(effects.map(({ eventId }) => eventId));
    for (const [eventId, answer] of history.entries())
      if (answer === 'ok' && !found.has(eventId)) return false;
    return (await countUnsettled(db, 'demo', ROLES)) === 0;
  };
  // A lost event would never come: the verdict names it, not the wait.
  await eventually(isDrained, DRAIN_MS, 'the drain').catch(() => undefined);
  const verdict = judge(history, await readEffects(db, 'demo'));
  const definitions = createDefinitionSource(db);
  const audit = await auditGame('demo', { db, definitions, clock: systemClock, takes, rerun });
  const letters = await db.query<{ role: string; reason: string; detail: string }>(
    'SELECT role, reason, detail FROM dead_letters',
  );
  const [sums] = await db.query<{ progress: number; ledger: number; board: number }>(
    `SELECT (SELECT sum(total_xp) FROM player_progress)::bigint AS progress, (SELECT sum(delta_xp) FROM progress_events)::bigint AS ledger,
            (SELECT sum(score) FROM board_scores WHERE board = 'xp' AND cycle = 'all-time:all')::bigint AS board`,
  );
  return { verdict, audit, letters, sums: sums ?? { progress: 0, ledger: 0, board: 0 } };
}
