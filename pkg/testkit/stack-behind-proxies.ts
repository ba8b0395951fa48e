import type { Redis } from 'ioredis';
import { PostgresPublisher } from '../bus/postgres-publisher.js';
import type { ClientAnswer, SignedClient } from '../client/signed-client.js';
import { systemClock } from '../kernel/clock.js';
import { ROLES } from '../kernel/roles.js';
import { createRedisClient, redisReady } from '../redis/client.js';
import { eventually } from './eventually.js';
import { freePort } from './postgres-server.js';
import { testDatabase } from './postgres.js';
import { startRedisServer, type RedisServer } from './redis-server.js';
import { startStack, type Stack } from './stack.js';
import { startTcpProxy, type TcpProxy } from './tcp-proxy.js';

/** An event as a client sends it. */
export interface SentEvent {
  readonly id: string;
  readonly type: string;
  readonly playerId: string;
  readonly ts: number;
  readonly payload: Readonly<Record<string, unknown>>;
}

/** A row of a board. */
export interface Place {
  readonly score: number;
  readonly reachedAt?: string;
}

export type Answer = Readonly<Record<string, unknown>>;

/** A gateway and workers whose ways to PostgreSQL and Redis fail when a test says so, and what a client of theirs sees. */
export class StackBehindProxies {
  private readonly metricsPorts: number[] = [];

  private constructor(
    readonly stack: Stack,
    readonly network: Readonly<Record<'gateway' | 'workers' | 'redis', TcpProxy>>,
    private readonly workersDatabaseUrl: string,
    /** The last one answers. */
    private readonly redisServers: RedisServer[],
    readonly gatewayUrl: string,
    readonly client: SignedClient,
  ) {}

  /** Starts servers, proxies and the gateway; no worker yet. */
  static async start(): Promise<StackBehindProxies> {
    const [database, redisServer] = await Promise.all([testDatabase(5), startRedisServer()]);
    const postgresPort = Number(new URL(database.url).port);
    const network = {
      gateway: await startTcpProxy(postgresPort),
      workers: await startTcpProxy(postgresPort),
      redis: await startTcpProxy(redisServer.port),
    };
    const through = (proxy: TcpProxy): string => {
      const way = new URL(database.url);
      way.port = String(proxy.port);
      return way.toString();
    };
    const stack = await startStack({
      database: { ...database, url: through(network.gateway) },
      redisUrl: `redis://127.0.0.1:${String(network.redis.port)}`,
      env: { HEAL_SECONDS: 'off' }, // it would hide what was wrong
    });
    const { url } = await stack.startGateway();
    return new StackBehindProxies(
      stack,
      network,
      through(network.workers),
      [redisServer],
      url,
      stack.client(url),
    );
  }

  async startWorker(): Promise<void> {
    const port = await freePort();
    this.metricsPorts.push(port);
    await this.stack.startWorker(ROLES, {
      DATABASE_URL: this.workersDatabaseUrl,
      METRICS_PORT: String(port),
    });
  }

  async close(): Promise<void> {
    this.client.close();
    await this.stack.close();
    await Promise.all(Object.values(this.network).map((proxy) => proxy.close()));
    await Promise.all(this.redisServers.map((server) => server.stop()));
  }

  /**
   * A replica of Redis that gets everything until now, and nothing of what comes.
   *
   * @returns what makes it the one that answers; the one before is gone then
   */
  async lateReplica(): Promise<() => Promise<void>> {
    const [master] = this.redisServers.slice(-1) as [RedisServer];
    const replica = await startRedisServer();
    this.redisServers.unshift(replica);
    await withRedis(master, (redis) => redis.config('SET', 'repl-diskless-sync-delay', '0'));
    await withRedis(replica, async (redis) => {
      await redis.replicaof('127.0.0.1', master.port);
      // While it loads what it got it refuses to answer.
      const isThere = (): Promise<boolean> => redis.exists(MARK).then(Boolean, () => false);
      await eventually('the replica has the view', isThere);
      await redis.replicaof('NO', 'ONE');
    });
    return async () => {
      this.redisServers.push(...this.redisServers.splice(this.redisServers.indexOf(replica), 1));
      this.network.redis.leadTo(replica.port);
      await master.kill();
    };
  }

  post(event: SentEvent, by = this.client): Promise<ClientAnswer> {
    return by.send('POST', '/v1/events', { body: JSON.stringify(event), idempotencyKey: `key-${event.id}` });
  }

  /** As a client does: the same again until it is taken. */
  accepted(event: SentEvent): Promise<void> {
    return eventually(`${event.id} is taken`, async () => (await this.post(event)).status === 202);
  }

  async postBatch(events: readonly SentEvent[]): Promise<Answer> {
    const { status, text } = await this.client.send('POST', '/v1/events/batch', {
      body: JSON.stringify(events),
    });
    if (status !== 202) throw new Error(`a batch is answered ${String(status)}: ${text}`);
    return JSON.parse(text) as Answer;
  }

  async read(path: string): Promise<Answer> {
    const { status, text } = await this.client.send('GET', path);
    return { status, ...(JSON.parse(text) as Answer) };
  }

  progressOf(player: string): Promise<Answer> {
    return this.read(`/v1/players/${player}/progress`);
  }

  /** A score of 0 where the player has no place. */
  async placeOf(player: string, query = 'board=xp&window=all-time'): Promise<Place> {
    const { entries } = await this.read(`/v1/players/${player}/rank?${query}`);
    return (entries as readonly Place[])[0] ?? { score: 0 };
  }

  /**
   * Resolves when every role has settled everything, and progress and board show the sum.
   *
   * @throws when one of them shows more, or progress shows less
   */
  async counts(player: string, totalXp: number): Promise<void> {
    await this.stack.drained();
    const progress = (await this.progressOf(player))['totalXp'];
    if (progress !== totalXp) throw new Error(`${player} has ${String(progress)}, not ${String(totalXp)}`);
    await eventually(`the board shows ${String(totalXp)} of ${player}`, async () => {
      const { score } = await this.placeOf(player);
      if (score > totalXp) throw new Error(`the board shows ${String(score)} of ${player}`);
      return score === totalXp;
    });
  }

  /** What all workers together have counted, of the labels that contain `labels`. */
  async metric(name: string, labels = ''): Promise<number> {
    const pages = await Promise.all(
      this.metricsPorts.map(async (port) => (await fetch(`http://127.0.0.1:${String(port)}/metrics`)).text()),
    );
    const sample = new RegExp(`^${name}\\{[^}]*${labels}[^}]*\\} (\\S+)$`, 'gm');
    return [...pages.join('\n').matchAll(sample)].reduce((sum, [, value]) => sum + Number(value), 0);
  }

  /** Deliveries that all roles had settled before. */
  async duplicates(): Promise<number> {
    const [row] = await this.stack.db.query<{ n: number }>(
      'SELECT sum(duplicate)::bigint AS n FROM role_counters',
    );
    return row?.n ?? 0;
  }

  /** Dead letters of a player, in the order of their roles and bodies. */
  async lettersOf(player: string): Promise<{ role: string; reason: string; state: string; body: string }[]> {
    return this.stack.db.query(
      'SELECT role, reason, state, body FROM dead_letters WHERE player_id = $1 ORDER BY role COLLATE "C", body COLLATE "C"',
      [player],
    );
  }

  /** Resolves when the view of the board of all times is whole in the Redis that answers now. */
  async viewIsWhole(): Promise<void> {
    await withRedis(this.redisServers.at(-1) as RedisServer, async (redis) => {
      const [, life] = /run_id:(\w+)/.exec(await redis.info('server')) ?? [];
      await eventually('the view is whole', async () => {
        const [cycle] = await this.stack.db.query<{ epoch: number }>(
          "SELECT epoch FROM board_cycles WHERE board = 'xp' AND cycle = 'all-time:all'",
        );
        const mark = await redis.get(MARK);
        return mark?.startsWith(`${String(cycle?.epoch)}|complete|${String(life)}`) === true;
      });
    });
  }

  /** Puts messages on the bus as another build would. */
  async publish(bodies: readonly string[]): Promise<void> {
    const publisher = new PostgresPublisher({
      sql: this.stack.db,
      clock: systemClock,
      onPublished: () => undefined,
    });
    const messages = bodies.map((body) => {
      const { gameId, playerId, id } = JSON.parse(body) as { gameId: string; playerId: string; id: string };
      return { gameId, playerId, messageId: `another build ${id}`, body };
    });
    await publisher.publish(messages);
    await publisher.close();
  }
}

/** What tells of the view of the board of all times: see pkg/redis/board.lua. */
const MARK = 'lb:{demo:xp::all-time%3Aall}:mark';

/** A way to a server that no proxy stands in. */
async function withRedis(server: RedisServer, work: (redis: Redis) => Promise<unknown>): Promise<void> {
  const redis = createRedisClient({ url: server.url });
  try {
    await redisReady(redis, READY_MS);
    await work(redis);
  } finally {
    redis.disconnect();
  }
}
const READY_MS = 60_000;
