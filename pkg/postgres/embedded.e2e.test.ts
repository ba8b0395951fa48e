import { spawn, type ChildProcess } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { processIdentity } from '../runtime/processes.js';
import { serverUser } from '../runtime/unprivileged.js';
import { built } from '../testkit/processes.js';
import { createDatabase } from './database.js';

const MAIN = built('pkg/testkit/embedded-main.js');

interface Running {
  readonly process: ChildProcess;
  /** Of the user who migrates. */
  readonly url: string;
  readonly servingUrl: string;
  readonly pid: number;
  readonly redisUrl: string | null;
  readonly redisPid: number | null;
  readonly readyMs: number;
}

let folder: string;
const spawned: ChildProcess[] = [];
const launched = (path: string, env: NodeJS.ProcessEnv = process.env): ChildProcess => {
  const child = spawn(process.execPath, [MAIN, path], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env,
  });
  spawned.push(child);
  return child;
};

async function start(path: string, env?: NodeJS.ProcessEnv): Promise<Running> {
  const child = launched(path, env);
  const { stdout, stderr } = child;
  if (stdout === null || stderr === null) throw new Error('no output');
  let complaint = '';
  stderr.on('data', (chunk: Buffer) => (complaint += chunk.toString('utf8')));
  const ended = once(child, 'exit').then(() => {
    throw new Error(`it ended: ${complaint}`);
  });
  ended.catch(() => undefined);
  const [line] = (await Promise.race([once(createInterface({ input: stdout }), 'line'), ended])) as [string];
  return { process: child, ...(JSON.parse(line) as Omit<Running, 'process'>) };
}

async function end(running: Running, signal: NodeJS.Signals): Promise<void> {
  const ended = once(running.process, 'exit');
  running.process.kill(signal);
  await ended;
}

/** Kills the process and the whole session of each of its servers. */
async function killEverything(running: Running): Promise<void> {
  const ended = once(running.process, 'exit');
  running.process.kill('SIGKILL');
  killGroup(running.pid);
  if (running.redisPid !== null) killGroup(running.redisPid);
  await ended;
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    return; // it is gone
  }
}

async function queryOnce(url: string, text: string): Promise<object[]> {
  const db = createDatabase({ url, poolSize: 1 });
  try {
    return await db.query(text);
  } finally {
    await db.close();
  }
}

const socketsOf = ({ url }: Running): string =>
  new URL(url.replace('@/', '@host/')).searchParams.get('host') ?? '';

const rowIds = async (url: string): Promise<number[]> =>
  (await queryOnce(url, 'SELECT id FROM acknowledged ORDER BY id')).map((row) => (row as { id: number }).id);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'fairtally-embedded-'));
});
afterAll(() => {
  for (const child of spawned) child.kill('SIGKILL');
  const pidFile = join(folder, 'data', 'pg', 'postmaster.pid');
  if (existsSync(pidFile)) killGroup(Number(readFileSync(pidFile, 'utf8').split('\n')[0]));
  rmSync(folder, { recursive: true, force: true });
});
const dataDir = (): string => join(folder, 'data');

test('the embedded PostgreSQL is durable, private, and the application is no superuser', async () => {
  const running = await start(dataDir());
  const settings = await queryOnce(
    running.url,
    `SELECT current_setting('fsync') AS fsync, current_setting('listen_addresses') AS addresses, current_user AS me,
            (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS super, current_setting('server_encoding') AS encoding`,
  );
  expect(settings).toEqual([{ fsync: 'on', addresses: '', me: 'fairtally', super: false, encoding: 'UTF8' }]);
  const sockets = socketsOf(running);
  expect(statSync(sockets).mode & 0o777).toBe(0o700);
  await expect(queryOnce(running.url.replace(/:[^:@]+@/, ':wrong@'), 'SELECT 1')).rejects.toThrow(/password/);
  await queryOnce(running.url, 'CREATE TABLE acknowledged (id int PRIMARY KEY)');
  const mayBe = `SELECT rolname AS name FROM pg_roles
                  WHERE rolname LIKE 'fairtally%' AND rolname <> current_user AND pg_has_role(current_user, oid, 'MEMBER')
                  ORDER BY rolname`;
  expect(await queryOnce(running.servingUrl, mayBe)).toEqual([
    { name: 'fairtally_api' },
    { name: 'fairtally_worker' },
  ]);
  await expect(queryOnce(running.servingUrl, 'SELECT FROM acknowledged')).rejects.toThrow(
    /cannot be used|denied/,
  );
  await end(running, 'SIGTERM');
  expect(running.process.exitCode).toBe(0);
});

test('row 51: killed at random moments it starts again by itself and nothing acknowledged is missing', async () => {
  const acknowledged = new Set<number>();
  let next = 1;
  for (let round = 0; round < 3; round += 1) {
    const running = await start(dataDir());
    const db = createDatabase({ url: running.url, poolSize: 4 });
    const enough = randomInt(20, 200);
    const write = async (): Promise<void> => {
      for (let id = next++; acknowledged.size < enough * (round + 1); id = next++) {
        await db.query('INSERT INTO acknowledged VALUES ($1)', [id]);
        acknowledged.add(id);
      }
    };
    // The writers are cut off in the middle: whoever comes first kills everything under the others.
    const writers = Array.from({ length: 4 }, write);
    await Promise.race(writers);
    await killEverything(running);
    await Promise.allSettled(writers);
    await db.close();
  }
  const running = await start(dataDir());
  const stored = new Set(await rowIds(running.url));
  expect([...acknowledged].filter((id) => !stored.has(id))).toEqual([]);
  await end(running, 'SIGTERM');
});

test('row 52: a second process is refused with the name of the first, which goes on working', async () => {
  const running = await start(dataDir());
  await expect(start(dataDir())).rejects.toThrow(`in use by process ${String(running.process.pid)} since `);
  expect(await queryOnce(running.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  await end(running, 'SIGTERM');
});

test('row 52: an orphaned PostgreSQL and an orphaned Redis are stopped, and the next start finds everything', async () => {
  const first = await start(dataDir());
  await queryOnce(first.url, 'INSERT INTO acknowledged VALUES (1000001)');
  await end(first, 'SIGKILL');
  expect(await queryOnce(first.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]); // it lives on, without a parent
  const second = await start(dataDir());
  expect(second.pid).not.toBe(first.pid);
  expect(processIdentity(first.pid)).toBeNull();
  if (first.redisPid !== null) expect(second.redisPid).not.toBe(first.redisPid);
  expect(await rowIds(second.url)).toContain(1_000_001);
  await end(second, 'SIGTERM');
});

test("row 51: a stale pid file with the number of somebody else's process does not keep it from starting", async () => {
  const first = await start(dataDir());
  await killEverything(first);
  const pidFile = join(dataDir(), 'pg', 'postmaster.pid');
  const [, ...rest] = readFileSync(pidFile, 'utf8').split('\n');
  // Of the server's own user, because PostgreSQL fears only those.
  const bystander = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e6)'], {
    ...serverUser(),
    stdio: 'ignore',
  });
  spawned.push(bystander);
  writeFileSync(pidFile, [String(bystander.pid), ...rest].join('\n'));
  const second = await start(dataDir());
  expect(await rowIds(second.url)).toContain(1_000_001);
  expect(bystander.exitCode).toBeNull();
  await end(second, 'SIGTERM');
});

test('a data directory whose path is too long for a socket works', async () => {
  const long = join(folder, 'a folder with a long name, '.repeat(4), 'data');
  const running = await start(long);
  expect(running.url).toContain(encodeURIComponent(join(tmpdir(), 'fairtally-')));
  expect(await queryOnce(running.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  await end(running, 'SIGTERM');
  rmSync(socketsOf(running), { recursive: true });
});

test('a server that cannot start says why, with its own last lines', async () => {
  const broken = join(folder, 'broken');
  await end(await start(broken), 'SIGTERM');
  writeFileSync(join(broken, 'pg', 'postgresql.auto.conf'), 'shared_buffers = banana\n');
  await expect(start(broken)).rejects.toThrow(/postgres\.log.*banana/s);
});

test('without a redis-server on the PATH there is PostgreSQL alone', async () => {
  const running = await start(dataDir(), { ...process.env, PATH: '/nonexistent' });
  expect(running.redisUrl).toBeNull();
  await end(running, 'SIGTERM');
});
