import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createSignedClient } from '../../pkg/client/signed-client.js';
import { systemClock } from '../../pkg/kernel/clock.js';
import { createDatabase } from '../../pkg/postgres/database.js';
import { eventually } from '../../pkg/testkit/eventually.js';
import { emptyDatabase, type TestDatabase } from '../../pkg/testkit/postgres.js';
import { freePort } from '../../pkg/testkit/postgres-server.js';
import { built, startProcess, type TestProcess } from '../../pkg/testkit/processes.js';

const SECRET = 'a-secret-of-thirty-two-bytes-abc';
const named = `m_${randomBytes(6).toString('hex')}`;
const processes: TestProcess[] = [];
let server: TestDatabase;
let folder: string;

beforeAll(async () => {
  server = await emptyDatabase();
  folder = mkdtempSync(join(tmpdir(), 'database-roles-'));
});
afterAll(async () => {
  for (const one of processes) one.kill('SIGKILL');
  await Promise.all(processes.map((one) => one.exited));
  rmSync(folder, { recursive: true });
  await server.db.query(`DROP DATABASE IF EXISTS ${named}_db WITH (FORCE)`);
  for (const kind of ['app', 'migrate', 'stranger'])
    await server.db.query(`DROP ROLE IF EXISTS ${named}_${kind}`);
  await server.close();
});

const urlOf = (login: string): string => {
  const url = new URL(server.url);
  url.pathname = `/${named}_db`;
  url.username = `${named}_${login}`;
  return url.toString();
};
const envOf = (login: string): Record<string, string> => ({
  PATH: process.env['PATH'] ?? '',
  DATABASE_URL: urlOf(login),
  DATA_DIR: folder,
  MASTER_KEY: `m1:${Buffer.alloc(32, 7).toString('base64')}`,
  METRICS_PORT: '0',
  HMAC_SECRET: SECRET,
});

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly told: string;
}
const fairtally = (words: readonly string[], login: string): Promise<Ended> =>
  new Promise((resolve) => {
    const args = [built('cmd/fairtally/main.js'), ...words];
    execFile(process.execPath, args, { env: envOf(login) }, (error, out, told) =>
      resolve({ code: error === null ? 0 : Number(error.code), out, told }),
    );
  });
const start = (name: 'gateway' | 'worker', login: string, port = 0): TestProcess => {
  const env = { ...envOf(login), PORT: String(port) };
  const started = startProcess(name, [built(`cmd/${name}/main.js`)], env);
  processes.push(started);
  return started;
};

test('row 69: on a server that an administrator prepared, no process is more than the worker, and all works', async () => {
  const { out } = await fairtally(['migrate', '--roles'], 'nobody');
  const commands = out
    .replaceAll(/^--.*\n/gm, '')
    .replaceAll(/fairtally_(migrate|app)/g, `${named}_$1`)
    .replace('CREATE DATABASE fairtally ', `CREATE DATABASE ${named}_db `)
    .split('\n')
    .filter((line) => line !== '' && !line.includes('NOLOGIN')); // other tests of this server have made those
  expect(commands).toHaveLength(6);
  for (const command of commands) await server.db.query(command.replace(/;.*$/, ''));

  expect(await fairtally(['migrate'], 'migrate')).toMatchObject({ code: 0 });
  expect((await fairtally(['admin', 'reset'], 'app')).out).toMatch(/The password of admin is in/);
  const port = await freePort();
  const gateway = start('gateway', 'app', port);
  const worker = start('worker', 'app');
  await Promise.all([gateway.waitFor(/gateway is ready/), worker.waitFor(/worker is ready/)]);
  const url = `http://127.0.0.1:${String(port)}`;
  const client = createSignedClient({ url, keyId: 'demo', secret: SECRET, clock: systemClock });
  const payload = { deltaXp: 150, activity: 'quest' };
  const body = JSON.stringify({ type: 'progression', playerId: 'p-1', ts: systemClock.now(), payload });
  expect(await client.send('POST', '/v1/events', { body })).toMatchObject({ status: 202 });
  await eventually('the event took effect', async () =>
    (await client.send('GET', '/v1/players/p-1/progress')).text.includes('"totalXp":150'),
  );
  client.close();
  expect((await fairtally(['audit'], 'app')).code).toBe(0);

  // What the login may do by itself is nothing: all of this was done as the role.
  const login = createDatabase({ url: urlOf('app'), poolSize: 1 });
  await expect(login.query('SELECT 1 FROM player_progress')).rejects.toMatchObject({
    cause: { code: '42501' },
  });
  await login.close();
});

test('row 69: a process whose user may not act as the worker does not start, and says what to do', async () => {
  await server.db.query(`CREATE ROLE ${named}_stranger LOGIN`);
  const refused = start('worker', 'stranger');
  expect((await refused.exited).code).toBe(1);
  expect(refused.output()).toContain('GRANT fairtally_worker TO that user');
  expect(await fairtally(['audit'], 'stranger')).toMatchObject({
    code: 1,
    told: expect.stringContaining('GRANT fairtally_worker TO that user'),
  });
});
