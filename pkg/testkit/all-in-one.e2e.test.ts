import { execFile, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createRedisClient, redisReady } from '../redis/client.js';
import { freePort } from './postgres-server.js';
import { eventually } from './stack.js';
import { built, cleanEnvironment, startProcess, type TestProcess } from './processes.js';

const run = promisify(execFile);
const README = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
const SUMMARY = JSON.parse(
  readFileSync(new URL('../../sample_events/summary.json', import.meta.url), 'utf8'),
) as { unique: number; players: number };

/** The code blocks of the README, in order, by language. */
const blocks = (language: string): string[] =>
  [...README.matchAll(/```(\w+)\n([\s\S]*?)```/g)]
    .filter((match) => match[1] === language)
    .map((match) => match[2] ?? '');
const block = (language: string, words: string): string => {
  const found = blocks(language).find((text) => text.includes(words));
  if (found === undefined) throw new Error(`the README has no ${language} block with ${words}`);
  return found;
};

let folder: string;
let env: Record<string, string>;
let url: string;
let process_: TestProcess;

const start = async (): Promise<TestProcess> => {
  const started = startProcess('all-in-one', [built('cmd/fairtally/main.js'), 'run'], env, folder);
  await started.waitFor(/Fairtally is running/, 150_000);
  return started;
};

const board = async (
  query: string,
): Promise<{ total: number; entries: { playerId: string; score: number }[]; stale: boolean }> => {
  const answer = await fetch(`${url}/v1/leaderboards/${query}`);
  expect(answer.status).toBe(200);
  return (await answer.json()) as {
    total: number;
    entries: { playerId: string; score: number }[];
    stale: boolean;
  };
};

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'fairtally-newcomer-'));
  const port = await freePort();
  url = `http://127.0.0.1:${String(port)}`;
  env = { PORT: String(port), METRICS_PORT: '0', ADMIN_PORT: '0', DATA_DIR: join(folder, 'data'), URL: url };
  writeFileSync(
    join(folder, 'fairtally'),
    `#!/bin/sh\nexec "${process.execPath}" "${built('cmd/fairtally/main.js')}" "$@"\n`,
    { mode: 0o755 },
  );
  process_ = await start();
}, 240_000);

afterAll(async () => {
  process_.kill('SIGTERM');
  const { code } = await process_.exited;
  if (code !== 0) {
    // It ended before its time; the servers that it left behind are found by the next start.
    process_ = await start();
    process_.kill('SIGTERM');
    await process_.exited;
  }
  rmSync(folder, { recursive: true, force: true });
}, 180_000);

describe('a newcomer in an empty directory', () => {
  test('sees the sample season on the boards', async () => {
    const xp = await board('xp?window=all-time&limit=3');
    expect(xp.total).toBeGreaterThan(SUMMARY.players * 0.9);
    expect(xp.entries).toHaveLength(3);
  });

  test('sends an event with the command of the README and is told when the board shows it', async () => {
    const { stdout } = await run('sh', ['-c', block('sh', './fairtally send')], {
      cwd: folder,
      env: cleanEnvironment(env),
    });
    expect(stdout).toContain('X-Signature: v1=');
    expect(stdout).toMatch(/visible on the board/i);
  });

  test('posts with the curl of the README, as printed', async () => {
    const { stdout } = await run('sh', ['-c', block('sh', 'openssl dgst')], {
      cwd: folder,
      env: cleanEnvironment(env),
    });
    expect(JSON.parse(stdout)).toMatchObject({ accepted: 1, rejected: 0 });
  });

  test('posts with the Node.js example of the README, as printed', async () => {
    writeFileSync(join(folder, 'example.mjs'), block('js', 'createHmac'));
    const { stdout } = await run(process.execPath, ['example.mjs'], {
      cwd: folder,
      env: cleanEnvironment(env),
    });
    expect(stdout).toMatch(/^202 /);
    expect(stdout).toContain('"accepted":1');
  });

  test('reads with the commands of the README, as printed', async () => {
    const { stdout } = await run('sh', ['-c', block('sh', 'partition=hydra')], {
      cwd: folder,
      env: cleanEnvironment(env),
    });
    expect(stdout).toContain('"board":"xp"');
    expect(stdout).toContain('"board":"boss-time"');
  });

  test('row 52: a second process on the same data directory refuses to start and names the holder', async () => {
    const second = startProcess(
      'second',
      [built('cmd/fairtally/main.js'), 'run'],
      { ...env, PORT: String(await freePort()) },
      folder,
    );
    const { code } = await second.exited;
    expect(code).not.toBe(0);
    expect(second.output()).toContain(String(process_.pid));
  });

  test('audits the running installation and finds nothing wrong', () => {
    const audit = spawnSync(process.execPath, [built('cmd/fairtally/main.js'), 'audit'], {
      cwd: folder,
      env: cleanEnvironment(env),
      encoding: 'utf8',
    });
    expect(audit.stderr).toBe('');
    expect(audit.status).toBe(0);
  });

  test('hides a player from every board and restores them exactly', async () => {
    const before = await board('xp?window=all-time&limit=1000');
    const [leader] = before.entries;
    const command = async (verb: string): Promise<void> => {
      await run('./fairtally', ['player', verb, leader?.playerId ?? ''], {
        cwd: folder,
        env: cleanEnvironment(env),
      });
    };
    await command('hide');
    const without = await board('xp?window=all-time&limit=1000');
    expect(without.entries.map(({ playerId }) => playerId)).toEqual(
      before.entries.slice(1).map(({ playerId }) => playerId),
    );
    expect(without.total).toBe(before.total - 1);
    await command('restore');
    expect((await board('xp?window=all-time&limit=1000')).entries).toEqual(before.entries);
  }, 120_000);

  test('rows 37, 41: its PostgreSQL and its Redis, killed, are started again, and it goes on', async () => {
    const running = JSON.parse(readFileSync(join(folder, 'data', 'secrets', 'running.json'), 'utf8')) as {
      redisUrl: string;
    };
    const redis = createRedisClient({ url: running.redisUrl });
    await redisReady(redis, 5_000);
    const redisPid = Number(/process_id:(\d+)/.exec(await redis.info('server'))?.[1]);
    redis.disconnect();
    const postgresPid = Number(
      readFileSync(join(folder, 'data', 'pg', 'postmaster.pid'), 'utf8').split('\n')[0],
    );
    for (const pid of [redisPid, postgresPid]) process.kill(pid, 'SIGKILL');
    const sent = async (): Promise<boolean> =>
      run('sh', ['-c', block('sh', './fairtally send')], { cwd: folder, env: cleanEnvironment(env) }).then(
        ({ stdout }) => /visible on the board/i.test(stdout),
        () => false, // 503 while it recovers
      );
    await eventually(sent, 40_000, 'an event on the board');
    const audit = await run('./fairtally', ['audit'], { cwd: folder, env: cleanEnvironment(env) });
    expect(audit.stdout).toContain('Exact');
  }, 180_000);

  test('row 51: killed and started again it goes on where it was, and the season is not fed twice', async () => {
    const before = await board('xp?window=all-time&limit=1000');
    process_.kill('SIGKILL');
    await process_.exited;
    process_ = await start();
    expect(process_.output()).not.toContain('Feeding the sample season');
    const after = await board('xp?window=all-time&limit=1000');
    expect(after.entries).toEqual(before.entries);
  }, 180_000);

  test('stops on SIGTERM with exit code 0 and leaves nothing running', async () => {
    process_.kill('SIGTERM');
    expect((await process_.exited).code).toBe(0);
    expect(existsSync(join(folder, 'data', 'pg', 'postmaster.pid'))).toBe(false);
  }, 180_000);
});
