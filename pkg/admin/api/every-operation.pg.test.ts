import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createAdminApp } from './app.js';
import { readApiDocument, type Operation } from './document.js';
import { reaches } from './guard.js';
import type { AdminRoutes } from './routes.js';
import { GAME_ROLES, type GameRole } from '../port.js';
import { systemClock } from '../../kernel/clock.js';
import { eventually } from '../../testkit/eventually.js';
import { whileLocked } from '../../testkit/postgres-locks.js';
import { hastyClock } from '../../testkit/settable-clock.js';
import { adminDocument, startAdminServer, type AdminServer, type Ask } from '../../testkit/admin-server.js';

const document = adminDocument();
const handled: string[] = [];

/** A handler that only says that it was reached, for every operation there is. */
function stubs(): AdminRoutes {
  const routes: Record<keyof AdminRoutes, Record<string, unknown>> = { game: {}, signedIn: {}, anyone: {} };
  for (const { id, isOfGame, role } of document.operations) {
    const group = isOfGame ? 'game' : role === 'anyone' ? 'anyone' : 'signedIn';
    routes[group][id] = async () => {
      handled.push(id);
      return { status: 204 };
    };
  }
  return routes;
}

let server: AdminServer;
const askers = new Map<string, Ask>();
beforeAll(async () => {
  server = await startAdminServer({ routes: stubs });
  for (const game of ['one', 'two']) await server.addGame(game);
  for (const role of GAME_ROLES) askers.set(role, (await server.signIn(role, { one: role })).ask);
  askers.set('admin of two', (await server.signIn('other', { two: 'admin' })).ask);
  askers.set('nobody', server.ask);
});
afterAll(() => server.close());

/** Something that has the form of what a path asks. */
const PLACES: Readonly<Record<string, string>> = {
  gameId: 'one',
  sessionId: 'AAAAAAAAAAAAAAAAAAAAAA',
  userId: 'AAAAAAAAAAAAAAAAAAAAAA',
  jobId: 'AAAAAAAAAAAAAAAAAAAAAA',
  receiptId: 'AAAAAAAAAAAAAAAAAAAAAA',
};
const pathOf = ({ path }: Operation): string =>
  path.replaceAll(/\{(\w+)\}/g, (_whole, name: string) => PLACES[name] ?? '1');

/** What the guard says: whether the request came as far as its input. */
async function verdict(operation: Operation, ask: Ask): Promise<'in' | 401 | 403 | 404> {
  const { status, body } = await ask(operation.method.toUpperCase(), pathOf(operation));
  if (status === 401 || status === 403) return status;
  return status === 404 && body?.code === 'not_found' ? 404 : 'in';
}

function expected({ role }: Operation, asker: string): 'in' | 401 | 403 | 404 {
  if (role === 'anyone') return 'in';
  if (asker === 'nobody') return 401;
  if (role === 'signed-in') return 'in';
  if (asker === 'admin of two') return 404;
  return reaches(asker as GameRole, role) ? 'in' : 403;
}

describe('every operation of the document', () => {
  test.each(document.operations.map((operation) => [operation.id, operation] as const))(
    'row 69: %s asks its role of each kind of caller, and another game does not exist for it',
    async (_id, operation) => {
      for (const [asker, ask] of askers)
        expect([asker, await verdict(operation, ask)]).toEqual([asker, expected(operation, asker)]);
    },
  );

  test('is reached by whom it lets in', () => {
    expect(new Set(handled).size).toBeGreaterThan(document.operations.length / 2); // the others want a body first
  });

  test('row 70: a role that was taken and a session that was ended are over with the next request', async () => {
    const { ask, userId, sessionId } = await server.signIn('hopper', { one: 'operator' });
    const getGame = async (): Promise<number> => (await ask('GET', '/admin/v1/games/one')).status;
    const replays = async (): Promise<number> => (await ask('GET', '/admin/v1/games/one/replays')).status;
    expect([await getGame(), await replays()]).toEqual([204, 204]);
    await server.db.query("UPDATE admin_memberships SET role = 'viewer' WHERE user_id = $1", [userId]);
    expect([await getGame(), await replays()]).toEqual([204, 403]);
    await server.db.query('DELETE FROM admin_memberships WHERE user_id = $1', [userId]);
    expect(await getGame()).toBe(404);
    await server.db.query('UPDATE admin_sessions SET ended_at = now() WHERE session_id = $1', [sessionId]);
    expect(await getGame()).toBe(401);
  });

  test('an admin of all games is one in each, and in none that does not exist', async () => {
    const { ask } = await server.signIn('root', {}, true);
    expect((await ask('GET', '/admin/v1/games/two/replays')).status).toBe(204);
    expect((await ask('GET', '/admin/v1/games/three')).status).toBe(404);
  });
});

describe('a change', () => {
  test('row 68: is refused when it comes from another page, from no page, or without our header', async () => {
    const { ask } = await server.signIn('carol', { one: 'admin' });
    const post = async (headers: Record<string, string>): Promise<number> =>
      (await ask('POST', '/admin/v1/auth/logout', undefined, headers)).status;
    for (const headers of [
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
      { 'sec-fetch-site': 'none' },
      { 'x-fairtally-request': '' },
      { origin: 'https://evil.example' },
      { origin: 'null' },
      { cookie: 'a=b' }, // a browser so old that it says neither
    ] as Record<string, string>[])
      expect([headers, await post(headers)]).toEqual([headers, 403]);
    expect(await post({ 'sec-fetch-site': 'same-origin', origin: server.url, cookie: 'a=b' })).toBe(204);
    expect(await post({ origin: server.url, cookie: 'a=b' })).toBe(204);
    expect(await post({})).toBe(204); // a program
  });
});

describe('what is sent', () => {
  test('is refused where it is not what the document says, with a pointer and without an echo', async () => {
    const { ask } = await server.signIn('dave', { one: 'admin' });
    const add = (body: unknown): ReturnType<Ask> => ask('POST', '/admin/v1/games/one/users', body);
    const code = async (body: unknown): Promise<unknown> => {
      const answer = await add(body);
      return [answer.status, answer.body.code, answer.body.pointer];
    };
    expect(await code({ username: 'x' })).toEqual([400, 'missing_field', '/role']);
    expect(await code({ username: 'x', role: 'god' })).toEqual([400, 'invalid_field', '/role']);
    expect(await code({ username: 'x', role: 'viewer', isAdmin: true })).toEqual([400, 'unknown_field', '']);
    expect(await code({ username: 'a\0b', role: 'viewer' })).toEqual([400, 'invalid_character', undefined]);
    expect((await add({ username: 'x', role: 'viewer' })).status).toBe(204);
    const list = await ask('GET', '/admin/v1/games/one/users?limit=0');
    expect([list.status, list.body.pointer]).toEqual([400, '/limit']);
    expect((await ask('GET', '/admin/v1/games/one/users?limti=1')).status).toBe(400);
    expect((await ask('PATCH', '/admin/v1/games/one/users')).status).toBe(405);
    expect((await ask('GET', '/admin/v1/elsewhere')).status).toBe(404);
  });

  test.each([
    ['22', 'duplicate_key', '{"marker": 1, "m\\u0061rker": 2}'],
    ['23', 'forbidden_key', '{"marker": {"__proto__": {}}}'],
    ['4', 'invalid_utf8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d])],
    ['20', 'too_deep', `${'['.repeat(17)}"marker"${']'.repeat(17)}`],
    ['21', 'invalid_number', '{"marker": 1e400}'],
    ['25', 'invalid_character', '{"marker": "\\ud800"}'],
    ['1', 'malformed_json', '{"marker"'],
  ] as const)(
    'row %s: is read as strictly as events are, by every operation with a body: %s',
    async (_row, code, body) => {
      const { ask } = await server.signIn(`judge-${code}`, { one: 'admin' });
      const withBody = document.operations.filter((operation) => operation.body !== null);
      expect(withBody.length).toBeGreaterThan(20);
      const answers = await Promise.all(
        withBody.map((operation) => ask(operation.method.toUpperCase(), pathOf(operation), body)),
      );
      const codes = answers.map((answer): unknown[] => [answer.status, answer.body.code]);
      expect(withBody.map(({ id }, i) => [id, ...(codes[i] ?? [])])).toEqual(
        withBody.map(({ id }) => [id, 400, code]),
      );
      expect(answers.filter(({ text }) => /marker|proto/.test(text))).toEqual([]);
    },
  );

  test('answers a body beyond the limit with 413 and one of another type with 415', async () => {
    const { ask } = await server.signIn('erin', { one: 'admin' });
    const large = { username: 'x'.repeat(70_000), role: 'viewer' };
    expect((await ask('POST', '/admin/v1/games/one/users', large)).status).toBe(413);
    const headers = { 'content-type': 'text/plain' };
    expect((await ask('POST', '/admin/v1/games/one/users', '{}', headers)).status).toBe(415);
  });
});

test('row 44: while the database hangs a read says 503 and when to come back, wherever it waits', async () => {
  const hasty = await startAdminServer({
    clock: hastyClock(systemClock),
    routes: () => ({
      game: {
        getPipeline: async ({ read }) => {
          await read((sql) => sql.query('SELECT FROM player_progress'));
          return { status: 204 } as never;
        },
      },
    }),
  });
  try {
    await hasty.addGame('one');
    const { ask } = await hasty.signIn('vera', { one: 'viewer' });
    const read = (): ReturnType<Ask> => ask('GET', '/admin/v1/games/one/pipeline');
    for (const tables of [['player_progress'], undefined])
      await whileLocked(
        hasty.db,
        async (waiting) => {
          const { status, body, headers } = await read();
          expect([status, body.code, body.retryable]).toEqual([503, 'dependency_unavailable', true]);
          expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
          await eventually('what it asked still waits', async () => (await waiting()) > 0);
        },
        tables,
      );
    await eventually('it is answered again', async () => (await read()).status === 204);
  } finally {
    await hasty.close();
  }
});

describe('an entry without a route, or a route without an entry', () => {
  const app = (routes: AdminRoutes): unknown =>
    createAdminApp({ document, routes } as unknown as Parameters<typeof createAdminApp>[0]);
  test('fails the start', () => {
    const whole = stubs();
    const { listUsers: _left, ...game } = whole.game;
    expect(() => app({ ...whole, game })).toThrow('without a route: game.listUsers;');
    expect(() =>
      app({ ...whole, signedIn: { ...whole.signedIn, mine: whole.game.listUsers } as never }),
    ).toThrow('without an entry: signedIn.mine');
  });
  test('so does an entry without a role, or with a role of a game where there is none', () => {
    const yaml = readFileSync(new URL('../../../api/admin.yaml', import.meta.url), 'utf8');
    expect(() => readApiDocument(yaml.replace('      x-role: signed-in\n', ''))).toThrow('no x-role');
    expect(() => readApiDocument(yaml.replace('x-role: signed-in', 'x-role: viewer'))).toThrow(
      'a role of a game',
    );
  });
});
