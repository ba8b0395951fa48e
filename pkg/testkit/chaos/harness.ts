import { readFileSync } from 'node:fs';
import { runKills } from '../../chaos/kills.js';
import { systemClock } from '../../kernel/clock.js';
import { createDatabase } from '../../postgres/database.js';
import { migrate } from '../../postgres/migrate.js';
import { startPostgresServer } from '../postgres-server.js';
import type { BrokerForProcesses } from '../process-brokers.js';
import { startRedisServer } from '../redis-server.js';
import { Chance } from '../sim/chance.js';
import { startStack, type Stack } from '../stack.js';
import { runChores, type ChoresDone } from './chores.js';
import { PLAYERS, startClients, type Clients } from './clients.js';
import { CrashGround, startServices } from './services.js';
import { judgeAfterDrain, type AfterDrain } from './verdict.js';

/** What may be killed: processes of ours, the servers below them, the clients, and a broker that keeps what it has on disk. */
export const VICTIMS = ['gateway', 'worker', 'postgres', 'redis', 'client', 'broker'] as const;
export type Victim = (typeof VICTIMS)[number];

export interface ChaosOptions {
  /** Ends the load; null: when `killsMax` is reached. */
  readonly seconds: number | null;
  readonly killsMax: number;
  readonly clients: number;
  /** Of each client, between an answer and its next request. */
  readonly clientPauseMs: number;
  readonly pauseMs: readonly [least: number, most: number];
  readonly choreEveryMs: readonly [least: number, most: number];
  /** Of what clients send, of what is killed and done: when each of it happens is up to the machine. */
  readonly seed: number;
  /** null: the postgres bus. */
  readonly broker: BrokerForProcesses | null;
  readonly onProgress?: (line: string) => void;
}

export interface ChaosResult extends AfterDrain {
  readonly kills: ReadonlyMap<Victim, number>;
  /** What was done beside the kills. */
  readonly chores: ChoresDone;
  /** How often the load did each kind of thing: see LOAD_KINDS. */
  readonly did: (kind: string) => number;
  readonly loadMs: number;
}

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
      definition: definition(),
      // What heals itself in the end would hide from the verdict what was wrong.
      env: { ...broker?.env, HEAL_SECONDS: 'off' },
    });
    try {
      const services = await startServices(stack);
      const clients = startClients({
        count: options.clients,
        urls: services.urls,
        seed: options.seed,
        pauseMs: options.clientPauseMs,
      });
      const ground = new CrashGround<Victim>({
        gateway: services.gateways,
        worker: services.workers.map((crash) => () => crash().then(() => broker?.forgetReaders?.())),
        postgres: [() => postgres.kill().then(postgres.start)],
        redis: [() => redis.kill().then(redis.start)],
        client: clients.crashes,
        broker: broker?.crash === undefined ? [] : [broker.crash],
      });
      try {
        const load = await underLoad(options, stack, clients, ground);
        const history = clients.history();
        const judged = await judgeAfterDrain(stack, broker, history, services.urls[0] ?? '');
        return { ...load, ...judged, did: (kind) => history.timesOf(kind) };
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

/** The sample game, and a board that ranks guilds. */
function definition(): string {
  const sample = readFileSync(new URL('../../../sample_events/demo.yaml', import.meta.url), 'utf8');
  return sample.replace(/^boards:$/m, `boards:\n${GUILD_BOARD}`);
}

const GUILD_BOARD = `  guild-xp:
    event: progression
    aggregate: sum
    value: deltaXp
    subject: activity
    windows: [daily, weekly, all-time]
    public: true
`;

/** The load ends when as much is killed as was asked for, or the time is over; chores that had no time before come after it. */
async function underLoad(
  { seconds, killsMax, pauseMs, choreEveryMs, seed, broker, onProgress }: ChaosOptions,
  stack: Stack,
  clients: Clients,
  ground: CrashGround<Victim>,
): Promise<Pick<ChaosResult, 'kills' | 'loadMs' | 'chores'>> {
  const over = new AbortController();
  const kills = new Map<Victim, number>();
  const startedAtMs = systemClock.monotonicMs();
  const sinceMs = (): number => systemClock.monotonicMs() - startedAtMs;
  const telling = tellEvery(over.signal, () => {
    onProgress?.(`${String(Math.round(sinceMs() / 1000)).padStart(4)} s  ${describeKills(kills)}`);
  });
  const timer = seconds === null ? null : systemClock.sleep(seconds * 1000, over.signal);
  void timer?.then(() => over.abort());
  const chores = runChores({
    env: stack.env,
    players: Array.from({ length: PLAYERS }, (_, n) => `crash-${String(n)}`),
    pauseMs: choreEveryMs,
    random: new Chance(seed + 1),
    signal: over.signal,
  });
  chores.catch(() => undefined); // it is awaited below, when the kills are over
  try {
    await runKills<Victim>({
      kinds: kindsOf(broker),
      kill: (victim) => ground.kill(victim),
      pauseMs,
      killsMax,
      clock: systemClock,
      random: new Chance(seed),
      signal: over.signal,
      onKill: (victim) => kills.set(victim, (kills.get(victim) ?? 0) + 1),
    });
  } finally {
    over.abort();
    await Promise.all([telling, ground.healed().finally(clients.end)]);
  }
  const loadMs = sinceMs();
  onProgress?.(
    'Nothing is killed any more: what operators began comes to its end, then all that waits is counted.',
  );
  return { kills, loadMs, chores: await chores };
}

export const describeKills = (kills: ReadonlyMap<Victim, number>): string =>
  `killed: ${VICTIMS.map((victim) => `${victim} ${String(kills.get(victim) ?? 0)}`).join(', ')}`;

async function tellEvery(over: AbortSignal, tell: () => void): Promise<void> {
  while (!over.aborted) {
    await systemClock.sleep(TELL_EVERY_MS, over);
    tell();
  }
}
