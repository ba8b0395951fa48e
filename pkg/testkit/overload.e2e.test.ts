import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { ClientAnswer, SignedClient } from '../client/signed-client.js';
import { serverUser } from '../runtime/unprivileged.js';
import { eventually } from './eventually.js';
import { freePort } from './postgres-server.js';
import { built, startProcess } from './processes.js';
import { startStack, type Stack } from './stack.js';

/** Of a few MiB; null where this user may not mount a file system. */
interface TinyDisk {
  readonly folder: string;
  grow(): boolean;
  remove(): void;
}
function tinyDisk(): TinyDisk | null {
  const folder = mkdtempSync(join(tmpdir(), 'fairtally-tiny-'));
  const mount = (options: string): boolean =>
    spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'fairtally-tiny', folder]).status === 0;
  const isMounted = mount('size=4m,mode=0777');
  const remove = (): void => {
    if (isMounted) spawnSync('umount', ['-l', folder]);
    rmSync(folder, { recursive: true, force: true });
  };
  if (isMounted) return { folder, grow: () => mount('remount,size=64m'), remove };
  remove();
  return null;
}
/** Of which a gateway minds the free space, and of which PostgreSQL has the log of events on. */
const [disk, tables] = [tinyDisk(), tinyDisk()];
let isUsed = false;

let stack: Stack;
/** Of most tests: each minds another of its limits. */
let gateway: Gateway;
beforeAll(async () => {
  stack = await startStack();
  gateway = await startGateway({
    OVERLOAD_LAG_SECONDS: '600',
    ...(disk === null ? {} : { DISK_FOLDER: disk.folder, DISK_FREE_MB: '2' }),
  });
}, 180_000);
afterAll(async () => {
  await Promise.all(ends.map((end) => end()));
  await stack.close();
  disk?.remove();
  if (!isUsed) tables?.remove(); // a server that loses a disk under its feet would take other tests with it
});

const ends: (() => Promise<void>)[] = [];

interface Gateway {
  readonly url: string;
  readonly client: SignedClient;
  metrics(): Promise<string>;
}

/** A gateway of the stack with settings of its own. */
async function startGateway(settings: Readonly<Record<string, string>>): Promise<Gateway> {
  const [port, metricsPort] = [String(await freePort()), String(await freePort())];
  const env = { ...stack.env, PORT: port, METRICS_PORT: metricsPort, ...settings };
  const process = startProcess('gateway', [built('cmd/gateway/main.js')], env);
  const url = `http://127.0.0.1:${port}`;
  const client = stack.client(url);
  ends.push(async () => {
    client.close();
    process.kill('SIGKILL');
    await process.exited;
  });
  await process.waitFor(/gateway is ready/);
  return {
    url,
    client,
    metrics: async () => (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text(),
  };
}

let count = 0;
const event = (more: Readonly<Record<string, unknown>> = {}): string => {
  count += 1;
  const payload = { deltaXp: 1, activity: 'overload', ...more };
  return JSON.stringify({
    id: `o-${String(count)}`,
    type: 'progression',
    playerId: 'p-1',
    ts: Date.now(),
    payload,
  });
};
const post = ({ client }: Gateway, body = event()): Promise<ClientAnswer> =>
  client.send('POST', '/v1/events', { body });
const statusOf = async (gateway: Gateway, path: string): Promise<number> =>
  (await fetch(gateway.url + path)).status;
const problemOf = ({ text }: ClientAnswer): { code: string; retryable: boolean } =>
  JSON.parse(text) as { code: string; retryable: boolean };
const onTheBus = async (): Promise<number> => {
  const [row] = await stack.db.query<{ published: number }>(
    'SELECT sum(next_position - 1)::bigint AS published FROM bus_lanes',
  );
  return row?.published ?? 0;
};

/** What has nothing to do with taking events, and how it is answered. */
const READS = { health: 200, config: 200, board: 200, progress: 404, session: 201, metrics: true };
const readsOf = async (gateway: Gateway): Promise<typeof READS> => {
  const session = { body: JSON.stringify({ playerId: 'p-1' }) };
  return {
    health: await statusOf(gateway, '/healthz'),
    config: await statusOf(gateway, '/v1/config'),
    board: await statusOf(gateway, '/v1/leaderboards/xp?window=all-time'),
    progress: (await gateway.client.send('GET', '/v1/players/nobody/progress')).status,
    session: (await gateway.client.send('POST', '/v1/sessions', session)).status,
    metrics: (await gateway.metrics()).includes('fairtally_ingest_shed_total'),
  };
};

const readiness = async ({ url }: Gateway): Promise<{ status: number; disk: string | undefined }> => {
  const answer = await fetch(`${url}/readyz`);
  const { checks } = (await answer.json()) as { checks: Record<string, { detail: string }> };
  return { status: answer.status, disk: checks['disk']?.detail };
};

const FULL = { status: 503, disk: 'storage_full' };

/** What clients and operators see below the floor. */
async function expectFull(full: Gateway): Promise<void> {
  const before = await onTheBus();
  const { answer, accepted } = await untilShed(full, 507);
  expect(problemOf(answer)).toMatchObject({ code: 'storage_full', retryable: true });
  expect(Number(answer.headers['retry-after'])).toBeGreaterThanOrEqual(15);
  expect(await readiness(full)).toEqual(FULL);
  expect(await readsOf(full)).toEqual(READS);
  expect(await full.metrics()).toMatch(/fairtally_ingest_shed_total\{reason="disk"\} [1-9]/);
  expect(await full.metrics()).toMatch(/^fairtally_free_disk_bytes [1-9]/m);
  expect(await onTheBus()).toBe(before + accepted);
}

if (disk === null)
  test('row 50: below the floor of free space events are 507, readiness says storage_full, and all else is answered', async () => {
    await expectFull(await startGateway({ DISK_FOLDER: tmpdir(), DISK_FREE_MB: '1000000000' }));
  });
else
  test('row 50: when a disk fills to its floor events are 507, readiness says storage_full, all else is answered, and it is left by itself', async () => {
    expect((await post(gateway)).status).toBe(202);
    await eventually('it is ready', async () => (await readiness(gateway)).status === 200);
    writeFileSync(join(disk.folder, 'ballast'), Buffer.alloc(3 * 1024 * 1024));
    await expectFull(gateway);
    rmSync(join(disk.folder, 'ballast'));
    await eventually('it is taken again', async () => (await post(gateway)).status === 202);
    await eventually('it is ready', async () => (await readiness(gateway)).status === 200);
  });

/** The gate learns of the world in a moment; until then events are taken, and are counted. */
async function untilShed(
  gateway: Gateway,
  status: number,
): Promise<{ answer: ClientAnswer; accepted: number }> {
  let accepted = 0;
  let answer = await post(gateway);
  await eventually(`events are answered ${String(status)}`, async () => {
    if (answer.status === status) return true;
    expect(answer.status).toBe(202);
    accepted += 1;
    answer = await post(gateway);
    return false;
  });
  return { answer, accepted };
}

test('row 50: while PostgreSQL itself has no room left events are 507 storage_full and it goes on by itself when it has', async () => {
  await stack.db.query(`DO $do$ BEGIN
    CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full';
    END $$;
    CREATE TRIGGER no_room BEFORE INSERT ON bus_events EXECUTE FUNCTION no_room();
  END $do$`);
  const before = await onTheBus();
  const body = event();
  const answer = await post(gateway, body);
  expect(answer.status).toBe(507);
  expect(problemOf(answer)).toMatchObject({ code: 'storage_full', retryable: true });
  expect(await readsOf(gateway)).toEqual(READS);
  await stack.db.query('DROP FUNCTION no_room CASCADE');
  expect((await post(gateway, body)).status).toBe(202);
  expect(await onTheBus()).toBe(before + 1);
});

test('row 44: while PostgreSQL hangs what is beyond the work in hand is 503 at once, reads go on, and nothing acknowledged is lost', async () => {
  const small = await startGateway({ OVERLOAD_WORK: '1', OVERLOAD_LAG_SECONDS: 'off' });
  const before = await onTheBus();
  let unlock = (): void => undefined;
  const unlocked = new Promise<void>((resolve) => (unlock = resolve));
  let locked = (): void => undefined;
  const isLocked = new Promise<void>((resolve) => (locked = resolve));
  const lock = stack.db.transaction(async (sql) => {
    await sql.query('SELECT 1 FROM bus_lanes FOR UPDATE');
    locked();
    await unlocked;
  });
  await isLocked;
  const body = event();
  const held = post(small, body);
  await eventually('others are refused room', async () => {
    const { status, text } = await small.client.send('POST', '/v1/events', { body: '{}' });
    if (status === 503) expect(JSON.parse(text)).toMatchObject({ code: 'overloaded', retryable: true });
    return status === 503;
  });
  expect(await readsOf(small)).toEqual(READS);
  unlock();
  await lock;
  const answer = await held;
  // On a slow machine the bus may have given up waiting: then nothing was acknowledged, and the same event is sent again.
  if (answer.status !== 202) expect(answer.status).toBe(503);
  await eventually('it is taken again', async () => (await post(small, body)).status === 202);
  expect(await onTheBus()).toBe(before + 1);
  expect(await small.metrics()).toMatch(/fairtally_ingest_shed_total\{reason="work"\} [1-9]/);
});

test('row 46: when roles are too far behind the gateway tells how far, sheds, and takes events again when they have caught up', async () => {
  expect((await post(gateway)).status).toBe(202);
  await stack.db.query("UPDATE bus_events SET published_at = now() - interval '1 hour'");
  const { answer } = await untilShed(gateway, 503);
  expect(problemOf(answer)).toMatchObject({ code: 'overloaded', retryable: true });
  const [, seconds] = /^fairtally_oldest_unapplied_seconds (\S+)$/m.exec(await gateway.metrics()) ?? [];
  expect(Number(seconds)).toBeGreaterThanOrEqual(3_600);
  expect(await readsOf(gateway)).toEqual(READS);
  const worker = await stack.startWorker();
  await eventually('it is taken again', async () => (await post(gateway)).status === 202);
  await stack.drained();
  worker.kill('SIGTERM');
  await worker.exited;
});

/** Where nothing may be mounted no disk can be filled. */
const onItsOwnDisk = tables === null ? test.skip : test;
onItsOwnDisk(
  'row 50: PostgreSQL fills its disk: events are 507, every 202 is kept, and with more room it goes on',
  async () => {
    const full = tables as TinyDisk;
    const user = serverUser();
    const location = join(full.folder, 'tablespace');
    mkdirSync(location, { mode: 0o700 });
    if (user !== null) chownSync(location, user.uid, user.gid);
    // A real disk that is full, below the log of events alone: the server that other tests share keeps its own.
    isUsed = true;
    await stack.db.query(`CREATE TABLESPACE fairtally_tiny LOCATION '${location}'`);
    await stack.db.query('ALTER TABLE bus_events SET TABLESPACE fairtally_tiny');
    const before = await onTheBus();
    const statuses: number[] = [];
    const fill = async (): Promise<number> => {
      const pads = Array.from({ length: 6 }, () => randomBytes(6_000).toString('base64'));
      const { status } = await post(gateway, event({ pads }));
      statuses.push(status);
      return status;
    };
    const timesOf = (wanted: number): number => statuses.filter((status) => status === wanted).length;
    await eventually('the disk is full', async () => (await fill()) === 507);
    expect(await readsOf(gateway)).toEqual(READS);
    expect(full.grow()).toBe(true);
    await eventually('there is room again', async () => (await fill()) === 202);
    // On a slow machine an answer may be 503, and what became of such a request is not known.
    const kept = (await onTheBus()) - before;
    expect(kept).toBeGreaterThanOrEqual(timesOf(202));
    expect(kept).toBeLessThanOrEqual(timesOf(202) + timesOf(503));
    expect(timesOf(202) + timesOf(503) + timesOf(507)).toBe(statuses.length);
    await stack.db.query('ALTER TABLE bus_events SET TABLESPACE pg_default');
    await stack.db.query('DROP TABLESPACE fairtally_tiny');
    isUsed = false;
  },
);
