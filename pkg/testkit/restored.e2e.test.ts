import { execFile } from 'node:child_process';
import { expect, jest, test } from '@jest/globals';
import { createDatabase } from '../postgres/database.js';
import { testDatabase } from './postgres.js';
import { built, cleanEnvironment } from './processes.js';
import { testRedisUrl } from './redis.js';
import { eventually, startStack, type Stack } from './stack.js';

jest.setTimeout(400_000);
const WAIT_MS = 120_000;

async function onServer(url: string, ...statements: string[]): Promise<void> {
  const server = new URL(url);
  server.pathname = '/postgres';
  const admin = createDatabase({ url: server.toString(), poolSize: 1 });
  try {
    for (const statement of statements) await admin.query(statement);
  } finally {
    await admin.close();
  }
}

async function asked<Row extends object>(url: string, text: string): Promise<Row[]> {
  const db = createDatabase({ url, poolSize: 1 });
  try {
    return await db.query<Row>(text);
  } finally {
    await db.close();
  }
}

const fairtally = (stack: Stack, ...words: string[]): Promise<string> =>
  new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      [built('cmd/fairtally/main.js'), ...words],
      { env: cleanEnvironment(stack.env) },
      (error, out, said) => (error === null ? resolve(out) : reject(new Error(out + said))),
    );
  });

/** A gateway and a worker, and what a client of theirs sees. */
async function started(stack: Stack) {
  const [{ process: gateway, url }, worker] = await Promise.all([stack.startGateway(), stack.startWorker()]);
  const client = stack.client(url);
  const board = async (): Promise<{ stale: boolean; scores: number[] }> => {
    const { text } = await client.send('GET', '/v1/leaderboards/xp?window=all-time');
    const { stale, entries } = JSON.parse(text) as { stale: boolean; entries: { score: number }[] };
    return { stale, scores: entries.map(({ score }) => score) };
  };
  return {
    gateway,
    worker,
    send: (id: string, deltaXp: number) =>
      client.send('POST', '/v1/events', {
        body: JSON.stringify({
          id,
          type: 'progression',
          playerId: 'p',
          ts: TS,
          payload: { deltaXp, activity: 'a' },
        }),
        idempotencyKey: `key-${id}`,
      }),
    board,
    /** Until the view, not the database, shows these scores. */
    shows: (...scores: number[]) =>
      eventually(
        async () => JSON.stringify(await board()) === JSON.stringify({ stale: false, scores }),
        WAIT_MS,
        `a whole view with ${String(scores)}`,
      ),
    async stop() {
      client.close();
      for (const one of [gateway, worker]) one.kill('SIGTERM');
      await Promise.all([gateway.exited, worker.exited]);
    },
  };
}
const TS = Date.now();

test('what was acknowledged after a backup counts once when it is sent again after the restore, though Redis remembers its answer', async () => {
  const { db, url, close } = await testDatabase(2);
  const name = new URL(url).pathname.slice(1);
  const stack = await startStack({
    redisUrl: testRedisUrl(),
    database: {
      db,
      url,
      close: async () => {
        await onServer(url, `DROP DATABASE IF EXISTS ${name}_backup WITH (FORCE)`);
        await close();
      },
    },
  });
  try {
    const before = await started(stack);
    expect((await before.send('a', 100)).status).toBe(202);
    await before.shows(100);
    await before.stop();
    await db.close();
    await onServer(url, `CREATE DATABASE ${name}_backup TEMPLATE ${name}`);

    const lost = await started(stack);
    expect((await lost.send('b', 7)).status).toBe(202);
    await lost.shows(107);
    await lost.stop();

    await onServer(
      url,
      `DROP DATABASE ${name} WITH (FORCE)`,
      `CREATE DATABASE ${name} TEMPLATE ${name}_backup`,
    );
    expect(await fairtally(stack, 'restored')).toMatch(/begun another life/);
    const after = await started(stack);
    expect((await after.board()).scores).toEqual([100]);
    for (const [id, deltaXp] of [
      ['a', 100],
      ['b', 7],
    ] as const) {
      const again = await after.send(id, deltaXp);
      expect([again.status, again.headers['idempotent-replayed']]).toEqual([202, undefined]);
    }
    await after.shows(107);
    const counted = await asked(
      url,
      'SELECT event_id, count(*) AS times FROM events GROUP BY event_id ORDER BY event_id',
    );
    expect(counted).toEqual([
      { event_id: 'a', times: 1 },
      { event_id: 'b', times: 1 },
    ]);
    expect(await fairtally(stack, 'audit')).toMatch(/^Exact/);

    await fairtally(stack, 'restored'); // while they run: they must not go on with what they remember
    expect(await Promise.all([after.gateway.exited, after.worker.exited])).toMatchObject([
      { code: 1 },
      { code: 1 },
    ]);
    expect(after.gateway.output()).toMatch(/the database was restored/);
  } finally {
    await stack.close();
  }
});
