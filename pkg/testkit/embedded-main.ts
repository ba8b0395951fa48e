// A process of its own for tests of the embedded servers: it starts them in the folder it is given, says where they
// are, and waits to be killed.
import { resolve } from 'node:path';
import { systemClock } from '../kernel/clock.js';
import { systemRandom } from '../kernel/random.js';
import { startEmbeddedPostgres } from '../postgres/embedded.js';
import { startEmbeddedRedis } from '../redis/embedded.js';
import { lockDataDir } from '../runtime/data-dir.js';
import { createLogger } from '../runtime/log.js';

const [, , folder = './data'] = process.argv;
const started = performance.now();
const { path, release } = lockDataDir(resolve(folder));
const options = { dataDir: path, path: process.env['PATH'] ?? '', clock: systemClock, random: systemRandom };
const logger = createLogger('warn', process.stderr);
const postgres = await startEmbeddedPostgres({ ...options, logger });
const redis = await startEmbeddedRedis({ ...options, logger });
const readyMs = Math.round(performance.now() - started);
const found = {
  url: postgres.ownerUrl,
  servingUrl: postgres.url,
  pid: postgres.pid,
  redisUrl: redis?.url ?? null,
  redisPid: redis?.pid ?? null,
  readyMs,
};
const stop = async (): Promise<void> => {
  await Promise.all([postgres.stop(), redis?.stop()]);
  release();
  process.exit(0);
};
process.once('SIGTERM', () => void stop());
// Told last: whoever reads it may send the signal at once.
process.stdout.write(`${JSON.stringify(found)}\n`);
