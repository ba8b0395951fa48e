import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createPasswords } from '../../pkg/admin/sign-in/passwords.js';
import { FIRST_ADMIN, resetAdmin } from '../../pkg/admin/sign-in/first-admin.postgres.js';
import { createSignedClient, type SignedClient } from '../../pkg/client/signed-client.js';
import { systemClock } from '../../pkg/kernel/clock.js';
import { systemRandom } from '../../pkg/kernel/random.js';
import { createDatabase } from '../../pkg/postgres/database.js';
import { askAs, type Answered, type Ask } from '../../pkg/testkit/admin-server.js';
import { startTestIssuer, type TestIssuer } from '../../pkg/testkit/test-issuer.js';
import { eventually } from '../../pkg/testkit/eventually.js';
import { freePort } from '../../pkg/testkit/postgres-server.js';
import { built, startProcess, type TestProcess } from '../../pkg/testkit/processes.js';
import { DEMO_SECRET, startStack, type Stack } from '../../pkg/testkit/stack.js';

/** A gateway and an admin service of the build, which say in their logs all that they ever say. */
let stack: Stack;
const processes: TestProcess[] = [];
let gateway: string;
let metrics: string;
let admin: string;
let password: string;
let issuer: TestIssuer;
/** Whatever must stand in no log. */
const secrets: string[] = [DEMO_SECRET];

beforeAll(async () => {
  [stack, issuer] = await Promise.all([startStack({ env: { LOG_LEVEL: 'debug' } }), startTestIssuer()]);
  const api = createDatabase({ url: stack.databaseUrl, poolSize: 1, role: 'fairtally_api' });
  const [clock, random] = [systemClock, systemRandom];
  const deps = { db: api, passwords: createPasswords(), clock, random, by: 'a test' };
  secrets.push((password = (await resetAdmin(FIRST_ADMIN, deps)) ?? ''));
  await api.close();
  const [port, metricsPort, adminPort] = [await freePort(), await freePort(), await freePort()];
  const start = (name: string, env: Record<string, string>): Promise<unknown> => {
    const started = startProcess(name, [built(`cmd/${name}/main.js`)], { ...stack.env, ...env });
    processes.push(started);
    return started.waitFor(new RegExp(`${name} is ready`));
  };
  await Promise.all([
    start('gateway', { PORT: String(port), METRICS_PORT: String(metricsPort) }),
    start('admin', {
      ADMIN_PORT: String(adminPort),
      ADMIN_URL: `http://127.0.0.1:${String(adminPort)}`,
      GATEWAY_URL: `http://127.0.0.1:${String(port)}`,
      OIDC_ISSUER: issuer.url,
      OIDC_AUDIENCE: issuer.audience,
    }),
  ]);
  gateway = `http://127.0.0.1:${String(port)}`;
  metrics = `http://127.0.0.1:${String(metricsPort)}/metrics`;
  admin = `http://127.0.0.1:${String(adminPort)}`;
});
afterAll(async () => {
  for (const one of processes) one.kill('SIGKILL');
  await Promise.all(processes.map((one) => one.exited));
  await Promise.all([stack.close(), issuer.close()]);
});

interface SignedIn {
  readonly ask: Ask;
  readonly cookie: string;
  readonly sessionId: string;
}
async function signIn(): Promise<SignedIn> {
  const answer = await askAs(admin, null)('POST', '/admin/v1/auth/login', {
    username: FIRST_ADMIN,
    password,
  });
  const { accessToken, me } = answer.body as { accessToken: string; me: { sessionId: string } };
  const [cookie = ''] = (answer.headers.get('set-cookie') ?? '').split(';');
  secrets.push(accessToken, cookie.split('=')[1] ?? '');
  return { ask: askAs(admin, accessToken), cookie, sessionId: me.sessionId };
}
const statusOf = async (asked: Promise<Answered>): Promise<number> => (await asked).status;
const auditOf = async (game: string): Promise<string[]> =>
  (
    await stack.db.query<{ action: string }>(
      'SELECT action FROM admin_audit WHERE game_id = $1 ORDER BY seq',
      [game],
    )
  ).map(({ action }) => action);

test('row 63: a stolen access token is useless as soon as its session is ended, and the audit log has it', async () => {
  const [thief, owner] = [await signIn(), await signIn()];
  expect(await statusOf(thief.ask('GET', '/admin/v1/games/demo/keys'))).toBe(200);
  const ended = await owner.ask('DELETE', `/admin/v1/auth/sessions/${thief.sessionId}`);
  expect(ended.status).toBe(204);
  expect(await statusOf(thief.ask('GET', '/admin/v1/games/demo/keys'))).toBe(401);
  expect(await statusOf(thief.ask('GET', '/admin/v1/auth/me'))).toBe(401);
  expect(await auditOf('*')).toContain('session.end');
});

test('rows 65 and 66: of the issuer’s tokens one with an id of SQL or a path is 401 and harms nothing; without the issuer its keys go on, and so do sessions', async () => {
  const count = async (): Promise<unknown> =>
    stack.db.query(
      'SELECT count(*) AS users, (SELECT count(*) FROM admin_token_keys) AS keys FROM admin_users',
    );
  const exchange = async (token: string): Promise<unknown[]> => {
    const answer = await askAs(admin, null)('POST', '/admin/v1/auth/oidc/exchange', { token });
    if (answer.status === 200) secrets.push(answer.body.accessToken as string);
    return [answer.status, answer.body?.code as unknown];
  };
  const startedAtMs = systemClock.monotonicMs();
  const { ask } = await signIn();
  expect(await exchange(await issuer.token())).toEqual([200, undefined]);
  const before = await count();
  const kids = ["'; DROP TABLE admin_users; --", '../../../etc/passwd', '/dev/zero', 'file:///etc/passwd'];
  for (const kid of kids) {
    expect(await exchange(await issuer.token({ kid }))).toEqual([401, 'sign_in_failed']);
    const bearer = { authorization: `Bearer ${await issuer.token({ kid, typ: 'at+jwt' })}` };
    expect(await statusOf(askAs(admin, null)('GET', '/admin/v1/auth/me', undefined, bearer))).toBe(401);
  }
  expect(await count()).toEqual(before);

  issuer.isDown = true;
  expect(await exchange(await issuer.token())).toEqual([200, undefined]);
  expect(await exchange(await issuer.token({ kid: 'new' }))).toEqual([401, 'sign_in_failed']);
  expect(await statusOf(ask('GET', '/admin/v1/auth/me'))).toBe(200);
  issuer.isDown = false;
  const halfMinutes = Math.ceil((systemClock.monotonicMs() - startedAtMs) / 30_000);
  expect(issuer.keysAsked).toBeLessThanOrEqual(halfMinutes);
});

test('row 68: what another page makes a browser send changes nothing, with every cookie there is', async () => {
  const { ask, cookie } = await signIn();
  const before = await auditOf('demo');
  const attempts: Record<string, string>[] = [
    { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' },
    { 'sec-fetch-site': 'same-site', origin: 'https://evil.example' },
    { 'sec-fetch-site': 'none' },
    { 'sec-fetch-site': 'same-origin', 'x-fairtally-request': '' },
    { origin: 'https://evil.example' },
    { origin: 'null' },
    {},
  ];
  for (const headers of attempts) {
    const hide = ask(
      'POST',
      '/admin/v1/games/demo/players/p-1/hide',
      { reason: 'x' },
      { ...headers, cookie },
    );
    expect([headers, await statusOf(hide)]).toEqual([headers, 403]);
    const refresh = askAs(admin, null)('POST', '/admin/v1/auth/refresh', undefined, { ...headers, cookie });
    expect([headers, await statusOf(refresh)]).toEqual([headers, 403]);
  }
  expect(await auditOf('demo')).toEqual(before);
  const own = { 'sec-fetch-site': 'same-origin', origin: admin, cookie };
  const refreshed = await askAs(admin, null)('POST', '/admin/v1/auth/refresh', undefined, own);
  expect(refreshed.status).toBe(200);
  secrets.push(refreshed.body.accessToken as string);
});

test('row 67: a ticket opens one stream of many that come with it at once, and no other afterwards', async () => {
  const { ask } = await signIn();
  const body = { topics: [{ topic: 'pipeline' }] };
  const made = await ask('POST', '/admin/v1/games/demo/stream-tickets', body);
  expect(made.status).toBe(201);
  const { ticket } = made.body as { ticket: string };
  secrets.push(ticket);
  const leaving = new AbortController();
  const open = async (): Promise<number> => {
    const answer = await fetch(`${admin}/admin/v1/stream?ticket=${ticket}`, { signal: leaving.signal });
    return answer.status;
  };
  const statuses = await Promise.all(Array.from({ length: 12 }, open));
  expect(statuses.sort()).toEqual([200, ...Array.from({ length: 11 }, () => 401)]);
  expect(await open()).toBe(401);
  // Nor is it told where such a request goes wrong.
  const wrong = await fetch(`${admin}/admin/v1/stream?ticket=${ticket}&lastEventId=%00`);
  expect(wrong.status).toBe(400);
  expect(await wrong.text()).not.toContain(ticket);
  expect(await statusOf(askAs(admin, null)('GET', `/admin/v1/streams?ticket=${ticket}`))).toBe(404);
  leaving.abort();
});

test('row 72: after a rotation both keys are taken until the date, a metric shows who still uses the old one, then it is refused', async () => {
  const { ask } = await signIn();
  const rotated = await ask('POST', '/admin/v1/games/demo/keys/demo/rotate', { overlapSeconds: 86_400 });
  expect(rotated.status).toBe(201);
  const next = rotated.body as { key: { keyId: string }; secret: string };
  secrets.push(next.secret);
  const clientOf = (keyId: string, secret: string): SignedClient =>
    createSignedClient({ url: gateway, keyId, secret, clock: systemClock });
  const [old, young] = [clientOf('demo', DEMO_SECRET), clientOf(next.key.keyId, next.secret)];
  const payload = { deltaXp: 1, activity: 'quest' };
  let sent = 0;
  const send = async (client: SignedClient): Promise<number> => {
    const event = {
      type: 'progression',
      playerId: 'p-1',
      id: `e-${String((sent += 1))}`,
      ts: systemClock.now(),
    };
    return (await client.send('POST', '/v1/events', { body: JSON.stringify({ ...event, payload }) })).status;
  };
  const counted = async (key: string, answer: string): Promise<number> => {
    const line = `fairtally_ending_key_requests_total{game="demo",key="${key}",answer="${answer}"} `;
    const text = await (await fetch(metrics)).text();
    return Number(
      text
        .split('\n')
        .find((one) => one.startsWith(line))
        ?.slice(line.length) ?? 0,
    );
  };

  await eventually('the gateway takes the new key', async () => (await send(young)) === 202);
  expect(await send(old)).toBe(202);
  await eventually('the metric shows the old key', async () => {
    await send(old); // the gateway may have learnt of the new key alone so far
    return (await counted('demo', 'taken')) > 0;
  });
  expect(await counted(next.key.keyId, 'taken')).toBe(0);

  const at = new Date(systemClock.now() + 1_000).toISOString();
  expect(await statusOf(ask('POST', '/admin/v1/games/demo/keys/demo/retire', { at }))).toBe(200);
  await eventually('the old key is refused', async () => (await send(old)) === 401);
  expect(systemClock.now()).toBeGreaterThanOrEqual(Date.parse(at));
  expect(await send(young)).toBe(202);
  expect(await counted('demo', 'refused')).toBeGreaterThan(0);
  expect(await auditOf('demo')).toEqual(expect.arrayContaining(['key.rotate', 'key.retire']));
  old.close();
  young.close();
});

test('row 67: nothing of all this, ticket, token, cookie, password or key, stands in a log', () => {
  expect(secrets.length).toBeGreaterThan(8);
  for (const { name, output } of processes) {
    expect(output()).toContain(`${name} is ready`);
    for (const secret of secrets) expect(output().includes(secret)).toBe(false);
  }
});
