import { createDatabase } from '../pkg/postgres/database.js';
import { migrate } from '../pkg/postgres/migrate.js';
import type { Database } from '../pkg/postgres/port.js';
import { startPostgresServer, type PostgresServer } from '../pkg/testkit/postgres-server.js';
import { startRedisServer, type RedisServer } from '../pkg/testkit/redis-server.js';
import type { Servers } from './bench.js';

/** A real PostgreSQL with fsync on and, where there is a redis-server, a real Redis. */
export async function startServers(): Promise<Servers & { stop(): Promise<void> }> {
  const postgres = await startPostgresServer({ fsync: true });
  const redis = await startRedisServer().catch((): RedisServer | null => null);
  return {
    postgres,
    redis,
    stop: async () => {
      await postgres.stop();
      await redis?.stop();
    },
  };
}

export interface FreshDatabase {
  readonly db: Database;
  readonly url: string;
  close(): Promise<void>;
}

let made = 0;

/** An empty, migrated database of its own. */
export async function freshDatabase(
  postgres: PostgresServer,
  poolSize: number,
  statementTimeoutMs?: number,
): Promise<FreshDatabase> {
  made += 1;
  const name = `bench_${String(made)}`;
  const admin = createDatabase({ url: postgres.url(), poolSize: 1 });
  await admin.query(`CREATE DATABASE ${name}`);
  await admin.close();
  const url = postgres.url(name);
  const db = createDatabase({ url, poolSize, ...(statementTimeoutMs && { statementTimeoutMs }) });
  await migrate(db);
  return { db, url, close: () => db.close() };
}
