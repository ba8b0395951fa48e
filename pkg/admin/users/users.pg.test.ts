import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { systemRandom } from '../../kernel/random.js';
import { startAdminServer, type AdminServer, type Ask } from '../../testkit/admin-server.js';
import { auditRoutes } from '../audit-routes.postgres.js';
import { verifyAudit } from '../audit-read.postgres.js';
import { ensureFirstAdmin, resetAdmin } from '../sign-in/first-admin.postgres.js';
import { createPasswords } from '../sign-in/passwords.js';
import { userByName } from '../sign-in/users.postgres.js';
import { userRoutes } from './routes.postgres.js';

const passwords = createPasswords();
let server: AdminServer;
let admin: Ask;
const users = '/admin/v1/games/one/users';

beforeAll(async () => {
  server = await startAdminServer({
    routes: ({ clock }) => ({
      game: {
        ...userRoutes({ passwords, clock, random: systemRandom, issuer: 'https://id.example' }),
        ...auditRoutes,
      },
    }),
  });
  for (const game of ['one', 'two']) await server.addGame(game);
  admin = (await server.signIn('ada', { one: 'admin' })).ask;
});
afterAll(() => server.close());

const add = async (body: object): Promise<Record<string, unknown>> => {
  const answer = await admin('POST', users, body);
  expect(answer.status).toBe(201);
  return answer.body as Record<string, unknown>;
};
const idOf = async (username: string): Promise<string> =>
  (await userByName(server.db, username))?.userId ?? '';

describe('the users of a game', () => {
  test('a new name becomes a user with a first password that is shown once and kept as a hash', async () => {
    const { member, firstPassword } = await add({ username: 'Bob', role: 'viewer' });
    expect(member).toMatchObject({ username: 'bob', role: 'viewer', source: 'local', lastSignInAt: null });
    expect(firstPassword).toMatch(/^[a-zA-Z0-9]{20}$/);
    const stored = await userByName(server.db, 'bob');
    expect(stored).toMatchObject({ mustChangePassword: true, isAdminOfAll: false });
    expect(stored?.passwordHash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
    expect(await passwords.isRight(String(firstPassword), stored?.passwordHash ?? null)).toBe(true);
  });

  test('somebody known keeps their password, somebody of the issuer has none, and nobody has two roles', async () => {
    await server.signIn('known', { two: 'viewer' });
    expect(await add({ username: 'known', role: 'analyst' })).toMatchObject({ firstPassword: null });
    expect(await add({ username: 'eve', role: 'viewer', subject: 'sub-1' })).toMatchObject({
      member: { source: 'oidc' },
      firstPassword: null,
    });
    const again = await admin('POST', users, { username: 'known', role: 'admin' });
    expect(again).toMatchObject({ status: 409, body: { code: 'member_exists' } });
  });

  test('whoever is named by a subject is not whoever has the name already', async () => {
    const { userId } = await server.signIn('namesake', { two: 'viewer' });
    const answer = await admin('POST', users, { username: 'namesake', role: 'admin', subject: 'sub-2' });
    expect(answer).toMatchObject({ status: 409, body: { code: 'member_exists', pointer: '/username' } });
    const query = "SELECT 1 FROM admin_memberships WHERE user_id = $1 AND game_id = 'one'";
    expect(await server.db.query(query, [userId])).toEqual([]);
  });

  test('have a name that can be read and told apart from every other', async () => {
    const names = [' ', 'a\nb', ' eva', 'e\u200bva', 'a\u202eb', '\u0430dmin', 'two words', 'x'.repeat(129)];
    for (const username of names)
      expect(await admin('POST', users, { username, role: 'viewer' })).toMatchObject({
        status: 400,
        body: { code: 'invalid_field', pointer: '/username' },
      });
    await expect(
      resetAdmin('\u0430dmin', {
        db: server.db,
        passwords,
        clock: server.clock,
        random: systemRandom,
        by: 'test',
      }),
    ).rejects.toMatchObject({ code: 'invalid_username' });
  });

  test('are listed by name, page after page', async () => {
    const first = await admin('GET', `${users}?limit=2`);
    const rest = await admin('GET', `${users}?limit=200&cursor=${String(first.body.nextCursor)}`);
    const names = [...first.body.items, ...rest.body.items].map(
      ({ username }: { username: string }) => username,
    );
    expect(names).toEqual([...new Set(names)].sort());
    expect(names).toEqual(expect.arrayContaining(['ada', 'bob', 'eve', 'known']));
    expect((await admin('GET', `${users}?cursor=xx`)).status).toBe(400);
  });

  test('a game keeps one admin', async () => {
    const ada = await idOf('ada');
    expect(await admin('PUT', `${users}/${ada}`, { role: 'viewer' })).toMatchObject({
      status: 409,
      body: { code: 'last_admin' },
    });
    expect((await admin('DELETE', `${users}/${ada}`)).status).toBe(409);
    const bob = await idOf('bob');
    expect((await admin('PUT', `${users}/${bob}`, { role: 'admin' })).body).toMatchObject({ role: 'admin' });
    expect((await admin('PUT', `${users}/${bob}`, { role: 'operator' })).status).toBe(200);
    expect((await admin('DELETE', `${users}/${bob}`)).status).toBe(204);
    expect((await admin('DELETE', `${users}/${bob}`)).status).toBe(404);
  });

  test('a password is reset where the caller is admin of all that the user has, and all sessions end', async () => {
    const { ask, userId, sessionId } = await server.signIn('frank', { one: 'viewer' });
    const path = `${users}/${userId}/password-reset`;
    const reset = await admin('POST', path);
    expect(reset.body.firstPassword).toMatch(/^[a-zA-Z0-9]{20}$/);
    const [session] = await server.db.query('SELECT ended_why FROM admin_sessions WHERE session_id = $1', [
      sessionId,
    ]);
    expect(session).toEqual({ ended_why: 'password_changed' });
    expect((await ask('GET', users)).status).toBe(401);
    const known = await admin('POST', `${users}/${await idOf('known')}/password-reset`);
    expect(known).toMatchObject({ status: 409, body: { code: 'user_elsewhere' } });
    const eve = await admin('POST', `${users}/${await idOf('eve')}/password-reset`);
    expect(eve.body.code).toBe('user_elsewhere');
  });

  test('row 69: what another game’s admin asks about a user of this one finds nobody and changes nothing', async () => {
    const other = (await server.signIn('olga', { two: 'admin' })).ask;
    const ada = await idOf('ada');
    const there = `/admin/v1/games/two/users/${ada}`;
    expect((await other('PUT', there, { role: 'viewer' })).status).toBe(404);
    expect((await other('DELETE', there)).status).toBe(404);
    expect((await other('POST', `${there}/password-reset`)).status).toBe(404);
    expect((await other('GET', '/admin/v1/games/two/users')).body.items).not.toEqual(
      expect.arrayContaining([expect.objectContaining({ username: 'ada' })]),
    );
    expect((await other('GET', '/admin/v1/games/two/audit')).body.items).toEqual([]);
  });
});

describe('the audit log', () => {
  const verify = async (query = ''): Promise<Record<string, unknown>> =>
    (await admin('GET', `/admin/v1/games/one/audit/verify${query}`)).body as Record<string, unknown>;

  test('says what was done, by whom and when, newest first, and holds no password', async () => {
    const answer = await admin('GET', '/admin/v1/games/one/audit?limit=200');
    const actions = (answer.body.items as { action: string }[]).map(({ action }) => action);
    expect(actions).toEqual(
      expect.arrayContaining(['user.add', 'user.set_role', 'user.remove', 'user.reset_password']),
    );
    expect(answer.body.items[0]).toMatchObject({ actor: 'ada', seq: actions.length, reason: null });
    expect(answer.text).not.toMatch(/argon2|firstPassword/);
    const some = await admin(
      'GET',
      '/admin/v1/games/one/audit?action=user.remove&actor=ada&subject=user%20bob',
    );
    expect(some.body.items).toHaveLength(1);
    expect((await admin('GET', '/admin/v1/games/one/audit?before=2020-01-01T00:00:00Z')).body.items).toEqual(
      [],
    );
  });

  test('a change that fails leaves no entry, and one that audits nothing leaves no change', async () => {
    const before = await verify();
    await admin('POST', users, { username: 'known', role: 'admin' });
    const actor = { userId: null, name: 'x', requestId: 'x' };
    const silent = server.games.change('one', actor, ({ sql }) =>
      sql.query("UPDATE admin_memberships SET role = 'admin' WHERE game_id = 'one'"),
    );
    await expect(silent).rejects.toThrow('must be audited');
    expect(await verify()).toEqual(before);
    expect(
      (await server.db.query("SELECT 1 FROM admin_memberships WHERE role = 'admin' AND game_id = 'one'"))
        .length,
    ).toBe(1);
  });

  test('changes of one game at once make one chain', async () => {
    const names = Array.from({ length: 8 }, (_, i) => `crowd-${String(i)}`);
    await Promise.all(names.map((username) => add({ username, role: 'viewer' })));
    expect(await verify()).toMatchObject({ isWhole: true, isComplete: true, brokenAtSeq: null });
  });

  test('an entry that was changed, taken out or put in breaks the chain where it stands', async () => {
    const tampered = [
      "UPDATE admin_audit SET actor = 'eve' WHERE game_id = 'one' AND seq = 2",
      'UPDATE admin_audit SET details = details || \'{"role": "viewer "}\' WHERE game_id = \'one\' AND seq = 2',
      "DELETE FROM admin_audit WHERE game_id = 'one' AND seq = 2",
    ];
    for (const statement of tampered) {
      const broken = await server.db
        .transaction(async (sql) => {
          await sql.query(statement);
          throw Object.assign(new Error('undo'), { found: await verifyAudit(sql, 'one') });
        })
        .catch((error: unknown) => (error as { found: { isWhole: boolean; brokenAtSeq: number } }).found);
      expect([statement, broken.isWhole, broken.brokenAtSeq]).toEqual([
        statement,
        false,
        statement.startsWith('DELETE') ? 3 : 2,
      ]);
    }
    const { lastSeq, lastHash } = await verify();
    expect(await verify(`?afterSeq=${String(lastSeq)}&afterHash=${String(lastHash)}`)).toMatchObject({
      isWhole: true,
    });
    expect(await verify(`?afterSeq=2&afterHash=${'0'.repeat(64)}`)).toMatchObject({
      isWhole: false,
      brokenAtSeq: 3,
    });
  });
});

test('the first admin is made once; a reset gives a new password, ends the sessions and takes a disabling back', async () => {
  const deps = { db: server.db, passwords, clock: server.clock, random: systemRandom, by: 'tester' };
  expect(await ensureFirstAdmin(deps)).toBeNull(); // there are users
  const { userId, sessionId } = await server.signIn('chief', {});
  await server.db.query('UPDATE admin_users SET disabled_at = now() WHERE user_id = $1', [userId]);
  const password = await resetAdmin('chief', deps);
  const user = await userByName(server.db, 'chief');
  expect(user).toMatchObject({ isAdminOfAll: true, isDisabled: false, mustChangePassword: true });
  expect(await passwords.isRight(password ?? '', user?.passwordHash ?? null)).toBe(true);
  expect(
    await server.db.query('SELECT 1 FROM admin_sessions WHERE session_id = $1 AND ended_at IS NOT NULL', [
      sessionId,
    ]),
  ).toHaveLength(1);
  expect(await resetAdmin('eve', deps)).toBeNull(); // signs in at the issuer
});

test('who was given a password may do nothing but for their own session until they have changed it', async () => {
  const fay = await server.signIn('fay', { one: 'viewer' });
  const must = (is: boolean) =>
    server.db.query('UPDATE admin_users SET must_change = $2 WHERE user_id = $1', [fay.userId, is]);
  await must(true);
  for (const path of [users, '/admin/v1/games/none/users'])
    expect(await fay.ask('GET', path)).toMatchObject({
      status: 403,
      body: { code: 'password_change_required' },
    });
  await must(false);
  expect((await fay.ask('GET', users)).body.code).toBe('forbidden');
  const head = await server.signIn('head', {}, true);
  await server.db.query('UPDATE admin_users SET must_change = true WHERE user_id = $1', [head.userId]);
  expect((await head.ask('GET', users)).status).toBe(200);
});
