import { makeTemplate } from './postgres.js';
import { startPostgresServer } from './postgres-server.js';
import { startRedisServer } from './redis-server.js';

/** One real PostgreSQL (with the migrated template) and one real Redis for all integration test files of a run. */
export async function startTestServers(): Promise<{ stop(): Promise<void> }> {
  const [postgres, redis] = await Promise.all([startPostgresServer(), startRedisServer()]);
  process.env['TEST_POSTGRES_URL'] = postgres.url();
  process.env['TEST_REDIS_URL'] = redis.url;
  await makeTemplate(postgres.url());
  return {
    stop: async () => {
      await Promise.all([postgres.stop(), redis.stop()]);
    },
  };
}
