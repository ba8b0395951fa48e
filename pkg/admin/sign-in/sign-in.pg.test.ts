import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { MemoryRateLimiter } from '../../admission/memory.js';
import type { RateLimiter } from '../../admission/port.js';
import { OutageError } from '../../kernel/errors.js';
import { systemRandom } from '../../kernel/random.js';
import { startAdminServer, type AdminServer, type Answered } from '../../testkit/admin-server.js';
import { SettableClock } from '../../testkit/settable-clock.js';
import { createCookies } from './cookies.js';
import { createDevices } from './devices.js';
import { createSignInLimit, type TakeSignIn } from './limits.js';
import { createPasswords } from './passwords.js';
import { openSignInRoutes, ownSessionRoutes } from './routes.js';
import { createSignIn } from './service.postgres.js';
import { insertUser, randomId } from './users.postgres.js';

const PASSWORD = 'correct horse battery staple';
const clock = new SettableClock(Date.now());
const passwords = createPasswords();
let server: AdminServer;
let takeOnly: TakeSignIn;
let isLimiterAway = false;
/** Where the next request seems to come from. */
let from = 'here';

beforeAll(async () => {
  server = await startAdminServer({
    clock,
    routes: ({ games, tokens, tokenKeys }) => {
      const local = new MemoryRateLimiter({ clock });
      const limiter: RateLimiter = {
        take: (...asked) => (isLimiterAway ? Promise.reject(new OutageError('Redis')) : local.take(...asked)),
      };
      const deps = {
        signIn: createSignIn({
          games,
          tokens,
          passwords,
          refreshSecret: tokenKeys.refreshSecret,
          clock,
          random: systemRandom,
        }),
        oidc: null,
        cookies: createCookies(null),
        takeSignIn: (takeOnly = createSignInLimit(limiter)),
        devices: createDevices(tokenKeys.refreshSecret, systemRandom),
        addressKey: () => from,
      };
      return { anyone: openSignInRoutes(deps), signedIn: ownSessionRoutes(deps) };
    },
  });
  await addUser('anna');
});
afterAll(() => server.close());

async function addUser(username: string): Promise<string> {
  const userId = randomId(systemRandom);
  const passwordHash = await passwords.hash(PASSWORD);
  await insertUser(server.db, { userId, username, passwordHash, oidc: null, isAdminOfAll: false });
  return userId;
}

const login = (username: string, password: string): Promise<Answered> =>
  server.ask('POST', '/admin/v1/auth/login', { username, password });

const cookieOf = (answer: Answered): string => (answer.headers.get('set-cookie') ?? '').split(';')[0] ?? '';
const refresh = (cookie: string): Promise<Answered> =>
  server.ask('POST', '/admin/v1/auth/refresh', undefined, { cookie, origin: server.url });
const me = (token: string): Promise<Answered> =>
  server.ask('GET', '/admin/v1/auth/me', undefined, { authorization: `Bearer ${token}` });
const actions = async (): Promise<string[]> =>
  (await server.db.query<{ action: string }>('SELECT action FROM admin_audit ORDER BY seq')).map(
    ({ action }) => action,
  );

describe('signing in with a password', () => {
  test('gives an access token for the page and a refresh token that no script can read', async () => {
    const answer = await login(' Anna', PASSWORD);
    expect(answer).toMatchObject({
      status: 200,
      body: { me: { username: 'anna', source: 'local' }, returnTo: null },
    });
    expect(answer.headers.getSetCookie()).toEqual([
      expect.stringMatching(
        /^fairtally-refresh=[\w-]{43}; Path=\/admin\/v1\/auth; HttpOnly; SameSite=Strict; Max-Age=43200$/,
      ),
      expect.stringMatching(
        /^fairtally-device=[\w-]{22}\.[\w-]{43}; Path=\/admin\/v1\/auth; HttpOnly; SameSite=Strict; Max-Age=7776000$/,
      ),
    ]);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect((await me(answer.body.accessToken)).body).toEqual(answer.body.me);
  });

  test('a wrong password and a name of nobody are one answer', async () => {
    const wrong = await login('anna', 'wrong');
    const nobody = await login('nobody', 'wrong');
    expect(wrong).toMatchObject({ status: 401, body: { code: 'sign_in_failed' } });
    expect({ ...nobody.body, requestId: '' }).toEqual({ ...wrong.body, requestId: '' });
    expect(await actions()).toContain('session.sign_in_failed');
  });

  test('a user who was disabled is refused, and their session is over at once', async () => {
    await addUser('dora');
    const { body } = await login('dora', PASSWORD);
    await server.db.query("UPDATE admin_users SET disabled_at = now() WHERE username = 'dora'");
    expect((await login('dora', PASSWORD)).status).toBe(401);
    expect((await me(body.accessToken)).status).toBe(401);
  });

  test('row 39: while tries cannot be counted nobody signs in, and who is signed in stays', async () => {
    const cookie = cookieOf(await login('anna', PASSWORD));
    isLimiterAway = true;
    const refused = await login('anna', PASSWORD);
    const refreshed = await refresh(cookie);
    isLimiterAway = false;
    expect(refused).toMatchObject({ status: 503, body: { code: 'dependency_unavailable', retryable: true } });
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(refreshed.status).toBe(200);
    expect((await login('anna', PASSWORD)).status).toBe(200);
  });

  test('tries are limited per name and address, per name, and for a browser of its own', async () => {
    await addUser('lisa');
    const answers = [];
    for (let i = 0; i < 31; i += 1) answers.push(await login('lisa', 'wrong'));
    expect(answers.slice(0, 30).every(({ status }) => status === 401)).toBe(true);
    expect(answers[30]).toMatchObject({ status: 429, body: { code: 'rate_limited' } });
    expect(Number(answers[30]?.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await login('lisa', PASSWORD)).status).toBe(429);
    from = 'elsewhere';
    const signedIn = await login('lisa', PASSWORD);
    expect(signedIn.status).toBe(200);
    // From many addresses together a name is tried no more than the wide limit lets it.
    for (let i = 0; i < 9; i += 1) {
      from = `stranger-${String(i)}`;
      await Promise.allSettled(
        Array.from({ length: 30 }, () => takeOnly({ username: 'lisa', addressKey: from })),
      );
    }
    from = 'a new place';
    expect((await login('lisa', PASSWORD)).status).toBe(429);
    const device = (signedIn.headers.getSetCookie()[1] ?? '').split(';')[0] ?? '';
    const withDevice = (username: string, cookie: string, password: string): Promise<Answered> =>
      server.ask('POST', '/admin/v1/auth/login', { username, password }, { cookie, origin: server.url });
    expect((await withDevice('lisa', device, PASSWORD)).status).toBe(200);
    expect((await withDevice('lisa', `${device.slice(0, -2)}AA`, PASSWORD)).status).toBe(429);
    // It says nothing of another name, and has its own thirty.
    expect((await withDevice('anna', device, 'wrong')).status).toBe(401);
    const deviceId = device.split(/[=.]/)[1] ?? '';
    for (let i = 0; i < 29; i += 1) await takeOnly({ username: 'lisa', addressKey: 'any', deviceId });
    expect((await withDevice('lisa', device, PASSWORD)).status).toBe(429);
    clock.advance(3_600_000);
    from = 'here';
    expect((await login('lisa', PASSWORD)).status).toBe(200);
  });
});

test('the scheme of an access token may be written in any case', async () => {
  const { accessToken } = (await login('anna', PASSWORD)).body;
  for (const scheme of ['bearer', 'BEARER']) {
    const headers = { authorization: `${scheme} ${String(accessToken)}` };
    expect((await server.ask('GET', '/admin/v1/auth/me', undefined, headers)).status).toBe(200);
  }
});

describe('refreshing', () => {
  test('row 64: a refresh token is good once; used again later it ends its whole family, and the log says so', async () => {
    const first = cookieOf(await login('anna', PASSWORD));
    const second = await refresh(first);
    expect(second.status).toBe(200);
    clock.advance(10_001);
    expect(await refresh(first)).toMatchObject({ status: 401, body: { code: 'refresh_reused' } });
    expect(await refresh(cookieOf(second))).toMatchObject({ status: 401, body: { code: 'not_signed_in' } });
    expect((await me(second.body.accessToken)).status).toBe(401);
    expect((await actions()).at(-1)).toBe('session.refresh_reused');
  });

  test('row 64: a client whose answer was lost asks again within ten seconds and gets the same token', async () => {
    const first = cookieOf(await login('anna', PASSWORD));
    const answers = await Promise.all([refresh(first), refresh(first), refresh(first)]);
    expect(new Set(answers.map(cookieOf)).size).toBe(1);
    expect(cookieOf(await refresh(cookieOf(answers[0])))).toMatch(/^fairtally-refresh=/);
  });

  test('row 64: a token whose successor was used is no lost answer, however soon it comes: its family ends', async () => {
    const first = cookieOf(await login('anna', PASSWORD));
    const second = await refresh(first);
    const third = await refresh(cookieOf(second));
    expect(third.status).toBe(200);
    expect(await refresh(first)).toMatchObject({ status: 401, body: { code: 'refresh_reused' } });
    expect(await refresh(cookieOf(third))).toMatchObject({ status: 401, body: { code: 'not_signed_in' } });
    expect((await actions()).at(-1)).toBe('session.refresh_reused');
  });

  test('row 63: an ended session is over at once, with its access token and its refresh token', async () => {
    const signedIn = await login('anna', PASSWORD);
    const { sessionId } = signedIn.body.me;
    const other = await login('anna', PASSWORD);
    const asOther = { authorization: `Bearer ${String(other.body.accessToken)}` };
    const list = await server.ask('GET', '/admin/v1/auth/sessions', undefined, asOther);
    expect(list.body.items).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ sessionId, isCurrent: false, address: '127.0.0.1' }),
      ]),
    );
    const ended = await server.ask(
      'DELETE',
      `/admin/v1/auth/sessions/${String(sessionId)}`,
      undefined,
      asOther,
    );
    expect(ended.status).toBe(204);
    expect((await me(signedIn.body.accessToken)).status).toBe(401);
    expect((await refresh(cookieOf(signedIn))).status).toBe(401);
    expect((await me(other.body.accessToken)).status).toBe(200);
    expect((await actions()).at(-1)).toBe('session.end');
  });

  test('row 63: an access token ends by itself after a quarter of an hour', async () => {
    const { body } = await login('anna', PASSWORD);
    clock.advance(15 * 60_000 + 1_000);
    expect((await me(body.accessToken)).status).toBe(401);
  });

  test('signing out everywhere ends every session, and a new password ends all but its own', async () => {
    const [a, b] = [await login('anna', PASSWORD), await login('anna', PASSWORD)];
    const asA = { authorization: `Bearer ${String(a.body.accessToken)}` };
    const change = { oldPassword: 'wrong', newPassword: 'another good password' };
    const put = (body: object): Promise<Answered> => server.ask('PUT', '/admin/v1/auth/password', body, asA);
    expect(await put(change)).toMatchObject({ status: 400, body: { pointer: '/oldPassword' } });
    expect(await put({ oldPassword: PASSWORD, newPassword: PASSWORD })).toMatchObject({
      status: 400,
      body: { pointer: '/newPassword' },
    });
    expect((await put({ ...change, oldPassword: PASSWORD })).status).toBe(204);
    expect((await me(b.body.accessToken)).status).toBe(401);
    expect((await server.ask('DELETE', '/admin/v1/auth/sessions', undefined, asA)).body.revoked).toBe(1);
    expect((await me(a.body.accessToken)).status).toBe(401);
  });
});

test('no secret stands in the database or the log as it was given', async () => {
  const { body } = await login('anna', 'another good password');
  const tables = ['admin_users', 'admin_sessions', 'admin_refresh_tokens', 'admin_token_keys', 'admin_audit'];
  const texts = await Promise.all(
    tables.map((table) => server.db.query(`SELECT to_jsonb(t)::text AS row FROM ${table} t`)),
  );
  const all = JSON.stringify(texts);
  expect(all).not.toContain('another good password');
  expect(all).not.toContain(body.accessToken);
});
