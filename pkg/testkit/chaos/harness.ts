import { takes } from '../../../cmd/fairtally/takes.js';
import { auditGame, type AuditResult } from '../../audit/audit.js';
import { countUnsettled, readEffects } from '../../chaos/effects.postgres.js';
import { judge, type History, type Verdict } from '../../chaos/history.js';
import { runKills } from '../../chaos/kills.js';
import { rerun } from '../../fairness/rerun.js';
import { createDefinitionSource } from '../../games/definitions/postgres.js';
import { systemClock } from '../../kernel/clock.js';
import { systemRandom } from '../../kernel/random.js';
import { ROLES } from '../../kernel/roles.js';
import { createDatabase } from '../../postgres/database.js';
import { migrate } from '../../postgres/migrate.js';
import type { Database } from '../../postgres/port.js';
import { reconcileByHand } from '../../worker/reconcile/reconcile.js';
import { startPostgresServer } from '../postgres-server.js';
import type { BrokerForProcesses } from '../process-brokers.js';
import { startRedisServer } from '../redis-server.js';
import { eventually, startStack, type Stack } from '../stack.js';
import { startClients, type Clients } from './clients.js';
import { CrashGround, startServices } from './services.js';

/** What may be killed: processes of ours, the servers below them, the clients, and a broker that keeps what it has on disk. */
export const VICTIMS = ['gateway', 'worker', 'postgres', 'redis', 'client', 'broker'] as const;
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

interface Sums {
  readonly progress: number;
  readonly ledger: number;
  readonly board: number;
}

export interface ChaosResult {
  readonly verdict: Verdict;
  readonly kills: ReadonlyMap<Victim, number>;
  readonly audit: AuditResult;
  /** Dead letters by reason: an event of this load can never be one. */
  readonly letters: readonly { readonly role: string; readonly reason: string; readonly detail: string }[];
  /** Sums of the same experience: in the tables of three roles, and of the board that a player sees. */
  readonly sums: Sums & { readonly served: number };
  readonly loadMs: number;
  /** From the end of the load until every role had settled everything. */
  readonly drainMs: number;
  readonly isDrained: boolean;
  /** Copies that no client asked for again and that the archive made good: see BrokerForProcesses.publishesInSteps. */
  readonly reconciled: number;
}

/** A reader that was killed is missed by its broker after a minute at most; what does not come then never does. */
const STILL_MS = 90_000;
const LOOK_EVERY_MS = 200;
const TELL_EVERY_MS = 5_000;

/** Gateways and workers are met most often; a broker as often as PostgreSQL. */
const kindsOf = (broker: BrokerForProcesses | null): readonly Victim[] => [
  ...([
    'gateway',
    'worker',
    'worker',
    'gateway',
    'postgres',
    'worker',
    'gateway',
    'redis',
    'client',
  ] as const),
  ...(broker?.crash === undefined ? [] : (['broker'] as const)),
];

/**
 * Two gateways, two workers per role, PostgreSQL with fsync and Redis without persistence; clients in processes of their own
 * post through both gateways; anything is killed with SIGKILL and started again, up to two of them at once. Then the drain
 * and the verdict.
 */
export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const { broker } = options;
  const [postgres, redis] = await Promise.all([startPostgresServer({ fsync: true }), startRedisServer()]);
  const db = createDatabase({ url: postgres.url(), poolSize: 4 });
  try {
    await migrate(db);
    const stack = await startStack({
      redisUrl: redis.url,
      database: { db, url: postgres.url(), close: async () => undefined },
      ...(broker === null ? {} : { env: broker.env }),
    });
    try {
      const services = await startServices(stack);
      const clients = startClients(options.clients, services.urls);
      const ground = new CrashGround<Victim>({
        gateway: services.gateways,
        worker: services.workers.map((crash) => () => crash().then(() => broker?.forgetReaders?.())),
        postgres: [() => postgres.kill().then(postgres.start)],
        redis: [() => redis.kill().then(redis.start)],
        client: clients.crashes,
        broker: broker?.crash === undefined ? [] : [broker.crash],
      });
      try {
        const load = await underLoad(options, clients, ground);
        return { ...load, ...(await afterDrain(stack, broker, clients.history(), services.urls[0] ?? '')) };
      } finally {
        clients.remove();
      }
    } finally {
      await stack.close();
    }
  } finally {
    await db.close();
    await Promise.all([postgres.stop(), redis.stop()]);
  }
}

async function underLoad(
  { seconds, killsMax, pauseMs, broker, onProgress }: ChaosOptions,
  clients: Clients,
  ground: CrashGround<Victim>,
): Promise<Pick<ChaosResult, 'kills' | 'loadMs'>> {
  const over = new AbortController();
  const kills = new Map<Victim, number>();
  const startedAtMs = systemClock.monotonicMs();
  const sinceMs = (): number => systemClock.monotonicMs() - startedAtMs;
  const telling = tellEvery(over.signal, () => {
    onProgress?.(`${String(Math.round(sinceMs() / 1000)).padStart(4)} s  ${describeKills(kills)}`);
  });
  const timer = seconds === null ? null : systemClock.sleep(seconds * 1000, over.signal);
  void timer?.then(() => over.abort());
  try {
    await runKills<Victim>({
      kinds: kindsOf(broker),
      kill: (victim) => ground.kill(victim),
      pauseMs,
      killsMax,
      clock: systemClock,
      random: systemRandom,
      signal: over.signal,
      onKill: (victim) => kills.set(victim, (kills.get(victim) ?? 0) + 1),
    });
  } finally {
    over.abort();
    await Promise.all([telling, ground.healed().finally(clients.end)]);
  }
  return { kills, loadMs: sinceMs() };
}

export const describeKills = (kills: ReadonlyMap<Victim, number>): string =>
  `killed: ${VICTIMS.map((victim) => `${victim} ${String(kills.get(victim) ?? 0)}`).join(', ')}`;

async function tellEvery(over: AbortSignal, tell: () => void): Promise<void> {
  while (!over.aborted) {
    await systemClock.sleep(TELL_EVERY_MS, over);
    tell();
  }
}

async function afterDrain(
  { db }: Stack,
  broker: BrokerForProcesses | null,
  history: History,
  url: string,
): Promise<Omit<ChaosResult, 'kills' | 'loadMs'>> {
  const startedAtMs = systemClock.monotonicMs();
  let isDrained = await drained(db, history);
  let reconciled = 0;
  if (!isDrained && broker?.publishesInSteps === true) {
    reconciled = await reconcileNow(db);
    isDrained = await drained(db, history);
  }
  const drainMs = systemClock.monotonicMs() - startedAtMs;
  const verdict = judge(history, await readEffects(db, 'demo'));
  const definitions = createDefinitionSource(db);
  const audit = await auditGame('demo', { db, definitions, clock: systemClock, takes, rerun });
  const letters = await db.query<{ role: string; reason: string; detail: string }>(
    'SELECT role, reason, detail FROM dead_letters',
  );
  const [sums = { progress: 0, ledger: 0, board: 0 }] = await db.query<Sums>(
    `SELECT (SELECT sum(total_xp) FROM player_progress)::bigint AS progress, (SELECT sum(delta_xp) FROM progress_events)::bigint AS ledger,
            (SELECT sum(score) FROM board_scores WHERE board = 'xp' AND cycle = 'all-time:all')::bigint AS board`,
  );
  const served = await servedSum(url, sums.board);
  return {
    verdict,
    audit,
    letters,
    sums: { ...sums, served },
    drainMs,
    isDrained,
    reconciled,
  };
}

/**
 * Waits until every role has settled what was acknowledged, for as long as something moves. False when nothing does any
 * more: a lost event never comes, and the verdict names it.
 */
async function drained(db: Database, history: History): Promise<boolean> {
  let missing = Infinity;
  let movedAtMs = systemClock.monotonicMs();
  for (;;) {
    // What was acknowledged may still be on the bus, before the archive: the sets must meet.
    const found = new Set((await readEffects(db, 'demo')).map(({ eventId }) => eventId));
    let left = await countUnsettled(db, 'demo', ROLES);
    for (const [eventId, answer] of history.entries()) if (answer === 'ok' && !found.has(eventId)) left += 1;
    if (left === 0) return true;
    if (left !== missing) movedAtMs = systemClock.monotonicMs();
    else if (systemClock.monotonicMs() - movedAtMs > STILL_MS) return false;
    missing = left;
    await systemClock.sleep(LOOK_EVERY_MS);
  }
}

/** What a gateway serves from the view, once that is whole again; what it served last, when it never comes to `expected`. */
async function servedSum(url: string, expected: number): Promise<number> {
  let last = 0;
  const isWhole = async (): Promise<boolean> => {
    const answer = await fetch(`${url}/v1/leaderboards/xp?window=all-time&limit=1000`);
    const { stale, entries } = (await answer.json()) as { stale: boolean; entries: { score: number }[] };
    last = entries.reduce((sum, { score }) => sum + score, 0);
    return !stale && last === expected;
  };
  await eventually(isWhole, STILL_MS, 'the board').catch(() => undefined);
  return last;
}

/** What `fairtally reconcile --older-than-minutes 0` does. @returns copies that were missing */
async function reconcileNow(db: Database): Promise<number> {
  const missing = await reconcileByHand(
    {
      roles: ROLES.filter((role) => role !== 'archive'),
      sinceMs: 0,
      ageMs: 0,
      isDryRun: false,
      decision: { actor: 'chaos', why: 'nothing is on its way any more' },
    },
    { db, clock: systemClock },
  );
  return [...missing.values()].reduce((sum, count) => sum + count, 0);
}
