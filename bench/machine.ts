import { execFileSync } from 'node:child_process';
import { availableParallelism, cpus, release, totalmem, type } from 'node:os';
import type { Servers } from './bench.js';
import { isPinning } from './children.js';
import { createDatabase } from '../pkg/postgres/database.js';

/** What the figures depend on, as rows of a table. */
export async function describeMachine(servers: Servers | null): Promise<Record<string, string>> {
  const model = cpus()[0]?.model.trim() ?? 'unknown';
  return {
    Date: new Date().toISOString().slice(0, 10),
    Commit: commit(),
    Processor: `${model}, ${String(availableParallelism())} cores`,
    Memory: `${(totalmem() / 2 ** 30).toFixed(0)} GiB`,
    System: `${type()} ${release()}`,
    'Node.js': process.version,
    PostgreSQL: servers === null ? 'not started' : await postgresText(servers),
    Redis: servers === null ? 'not started' : redisText(servers),
    Placement: isPinning()
      ? 'bare listener, ingest and raw loop on core 0, loader on core 1; the full stack is not pinned'
      : 'not pinned: no taskset, or one core',
  };
}

async function postgresText({ postgres }: Servers): Promise<string> {
  const db = createDatabase({ url: postgres.url(), poolSize: 1 });
  try {
    const rows = await db.query<{ name: string; setting: string }>(
      `SELECT name, current_setting(name) AS setting FROM pg_settings
        WHERE name IN ('server_version', 'fsync', 'synchronous_commit', 'full_page_writes', 'shared_buffers') ORDER BY name`,
    );
    return rows.map(({ name, setting }) => `${name} ${setting}`).join(', ');
  } finally {
    await db.close();
  }
}

const redisText = ({ redis }: Servers): string =>
  redis === null
    ? 'none: boards are read from PostgreSQL'
    : `${textOf('redis-server', ['--version'])}, no persistence`;

const commit = (): string => textOf('git', ['describe', '--always', '--dirty']);

function textOf(command: string, args: readonly string[]): string {
  try {
    return execFileSync(command, [...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return 'unknown';
  }
}
