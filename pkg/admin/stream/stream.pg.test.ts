import { connect, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { MemoryRateLimiter } from '../../admission/memory.js';
import { OutageError } from '../../kernel/errors.js';
import { systemRandom } from '../../kernel/random.js';
import {
  startAdminServer,
  type AdminServer,
  type Answered,
  type SignedInTester,
} from '../../testkit/admin-server.js';
import { eventually } from '../../testkit/eventually.js';
import { createMetrics } from '../../runtime/metrics.js';
import { quietLogger } from '../../testkit/quiet.js';
import { createTicketLimit } from '../sign-in/limits.js';
import { sessionAccess } from '../sign-in/users.postgres.js';
import type { SentEvent } from './event-stream.js';
import { streamRoutes, type TopicSource } from './routes.js';

let server: AdminServer;
let anna: SignedInTester;
const stopping = new AbortController();
let isDatabaseAway = false;
let askedInVain = 0;
let asked = 0;
const metrics = createMetrics({ processMetrics: false });
const logged: object[] = [];
/** What ends the time that a page has to read its last event, of each that is being let go. */
const farewells: (() => void)[] = [];
const FAREWELL_MS = 2_000;
const emitters = new Set<(sent: SentEvent) => void>();
const begunAfter: (string | null)[] = [];
const sockets: Socket[] = [];

/** Emits what the test tells it to. */
const source: TopicSource = async ({ lastEventId }, emit, signal) => {
  begunAfter.push(lastEventId);
  emitters.add(emit);
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  emitters.delete(emit);
};
const tell = (id: string, name = 'p'): void => {
  const event = { type: 'finding', finding: { playerId: name } } as unknown as SentEvent['event'];
  for (const emit of emitters) emit({ id, event });
};

beforeAll(async () => {
  server = await startAdminServer({
    routes: ({ games, apiDb, clock }) =>
      streamRoutes({
        games,
        sql: apiDb,
        sessionAccess: async (sessionId, gameId) => {
          asked += 1;
          if (!isDatabaseAway) return sessionAccess(apiDb, sessionId, gameId);
          askedInVain += 1;
          throw new OutageError('PostgreSQL');
        },
        source,
        hasBoard: (_gameId, { board }) => Promise.resolve(board === 'xp'),
        takeTicket: createTicketLimit(new MemoryRateLimiter({ clock })),
        clock: {
          sleep: (ms, signal) =>
            ms === FAREWELL_MS
              ? new Promise((resolve) => void farewells.push(resolve))
              : clock.sleep(ms, signal),
        },
        random: systemRandom,
        logger: { ...quietLogger, info: (fields) => void logged.push(fields) },
        metrics,
        stopping: stopping.signal,
        recheckMs: 50,
      }),
  });
  for (const game of ['one', 'two']) await server.addGame(game);
  anna = await server.signIn('anna', { one: 'viewer' });
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const end of farewells.splice(0)) end();
  await eventually('the streams are as many', () => emitters.size === 0);
});
afterAll(() => server.close());

async function ticketOf({ ask }: SignedInTester): Promise<string> {
  const answer = await ask('POST', '/admin/v1/games/one/stream-tickets', { topics: [{ topic: 'findings' }] });
  expect(answer.status).toBe(201);
  return String(answer.body.ticket);
}

/** More than one event of any test. */
const HEARD_MAX = 300_000;

/** A page that listens, and what it has heard last. */
async function listen(
  ticket: string,
  more = '',
): Promise<{ heard: () => string; socket: Socket; closed: () => boolean }> {
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
  sockets.push(socket);
  let text = '';
  let isClosed = false;
  socket.setEncoding('utf8').on('data', (chunk: string) => (text = (text + chunk).slice(-HEARD_MAX)));
  socket.on('close', () => (isClosed = true)).on('error', () => undefined);
  const before = emitters.size;
  socket.write(`GET /admin/v1/stream?ticket=${ticket}${more} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  await eventually('the streams are as many', () => emitters.size === before + 1);
  return { heard: () => text, socket, closed: () => isClosed };
}

const listenAs = async (who: SignedInTester): ReturnType<typeof listen> => listen(await ticketOf(who));

const open = (ticket: string): Promise<Answered> => server.ask('GET', `/admin/v1/stream?ticket=${ticket}`);

describe('a ticket', () => {
  test('row 67: opens one stream, once: of several at once exactly one, and none afterwards', async () => {
    const ticket = await ticketOf(anna);
    const stop = new AbortController();
    const tries = Array.from({ length: 6 }, () =>
      fetch(`${server.url}/admin/v1/stream?ticket=${ticket}`, { signal: stop.signal }),
    );
    const statuses = (await Promise.all(tries)).map(({ status }) => status);
    stop.abort();
    expect(statuses.sort()).toEqual([200, 401, 401, 401, 401, 401]);
    expect((await open(ticket)).status).toBe(401);
  });

  test('row 67: is kept as a hash, runs out after half a minute, and is good for its session alone', async () => {
    const ticket = await ticketOf(anna);
    const rows = await server.db.query('SELECT to_jsonb(t)::text AS row FROM admin_stream_tickets t');
    expect(JSON.stringify(rows)).not.toContain(ticket);
    await server.db.query("UPDATE admin_stream_tickets SET expires_at = expires_at - interval '31 seconds'");
    expect((await open(ticket)).status).toBe(401);

    const guest = await server.signIn('guest', { one: 'viewer' });
    const theirs = await ticketOf(guest);
    await server.db.query('UPDATE admin_sessions SET ended_at = now() WHERE session_id = $1', [
      guest.sessionId,
    ]);
    expect((await open(theirs)).status).toBe(401);
    expect((await open('A'.repeat(43))).status).toBe(401);
    expect((await open('short')).status).toBe(400);
  });

  test('is not had for a board that the game does not have', async () => {
    const ask = async (board: string): Promise<number> => {
      const topics = [{ topic: 'findings' }, { topic: 'board', board, window: 'daily' }];
      return (await anna.ask('POST', '/admin/v1/games/one/stream-tickets', { topics })).status;
    };
    expect([await ask('xp'), await ask('nowhere')]).toEqual([201, 404]);
  });

  test('is not used up by whoever asks for the head of its stream', async () => {
    const ticket = await ticketOf(anna);
    const head = await fetch(`${server.url}/admin/v1/stream?ticket=${ticket}`, { method: 'HEAD' });
    expect([head.status, head.headers.get('allow')]).toEqual([405, 'GET']);
    await listen(ticket);
  });

  test('row 69: is not had for a game in which one has no role', async () => {
    const body = { topics: [{ topic: 'findings' }] };
    expect((await anna.ask('POST', '/admin/v1/games/two/stream-tickets', body)).status).toBe(404);
  });
});

describe('a stream', () => {
  test('tells what happens, each with its id, and begins again after the last one seen', async () => {
    const page = await listen(await ticketOf(anna));
    tell('f.1', 'a\nb');
    await eventually('the page hears it', () =>
      page
        .heard()
        .includes('id: f.1\nevent: finding\ndata: {"type":"finding","finding":{"playerId":"a\\nb"}}\n\n'),
    );
    page.socket.destroy();
    await eventually('the streams are as many', () => emitters.size === 0);
    await listen(await ticketOf(anna), '&lastEventId=f.1');
    expect(begunAfter.at(-1)).toBe('f.1');
  });

  test('row 70: is asked about again and again: a lower role that may listen goes on, no role ends it', async () => {
    const eve = await server.signIn('eve', { one: 'admin' });
    const page = await listenAs(eve);
    await server.db.query("UPDATE admin_memberships SET role = 'viewer' WHERE user_id = $1", [eve.userId]);
    const before = asked;
    await eventually('it is asked about', () => asked >= before + 2);
    tell('allowed');
    await eventually('the page hears it', () => page.heard().includes('id: allowed\n'));
    await server.db.query('DELETE FROM admin_memberships WHERE user_id = $1', [eve.userId]);
    await eventually('the page hears why', () => page.heard().includes('"reason":"access_changed"'));
    await eventually('nobody tells it anything', () => emitters.size === 0);
  });

  test('row 70: ends when the role is taken or the session has ended, and says which', async () => {
    const bob = await server.signIn('bob', { one: 'viewer' });
    const [first, second] = [await listen(await ticketOf(bob)), await listen(await ticketOf(anna))];
    await server.db.query('DELETE FROM admin_memberships WHERE user_id = $1', [bob.userId]);
    await eventually('the page hears it', () => first.heard().includes('"reason":"access_changed"'));
    expect(second.closed()).toBe(false);
    const carl = await server.signIn('carl', { one: 'viewer' });
    const third = await listen(await ticketOf(carl));
    await server.db.query('UPDATE admin_sessions SET ended_at = now() WHERE session_id = $1', [
      carl.sessionId,
    ]);
    await eventually('the page hears it', () => third.heard().includes('"reason":"session_ended"'));
  });

  test('row 62: a page that does not read is let go and told why, the others are not held up, and it goes on where it was', async () => {
    const [slow, gone, quick] = [await listenAs(anna), await listenAs(anna), await listenAs(anna)];
    for (const { socket } of [slow, gone]) socket.pause();
    const large = 'x'.repeat(100_000);
    // Twenty megabytes: more than the kernel and we together hold for anybody.
    for (let i = 0; i < 200 && farewells.length < 2; i += 1) {
      tell(`f.${String(i)}`, large);
      await eventually('the page hears it', () => quick.heard().includes(`id: f.${String(i)}\n`));
    }
    expect(farewells).toHaveLength(2);
    tell('missed');
    await eventually('the page hears it', () => quick.heard().includes('id: missed\n'));

    slow.socket.resume();
    await eventually('the slow page hears why', () =>
      slow.heard().includes('event: bye\ndata: {"type":"bye","reason":"too_slow"}\n\n'),
    );
    for (const end of farewells.splice(0)) end();
    await eventually('the page that reads nothing is let go', () => emitters.size === 1);
    expect(await metrics.render()).toContain('fairtally_streams_ended_total{reason="too_slow"} 2');
    const line = { user: 'anna', gameId: 'one', reason: 'too_slow' };
    expect(logged).toEqual([line, line]);

    expect(slow.heard()).not.toContain('id: missed');
    const lastId = /id: (f\.\d+)\n(?![^]*\nid: )/.exec(slow.heard())?.[1] ?? '';
    const again = await listen(await ticketOf(anna), `&lastEventId=${lastId}`);
    expect(begunAfter.at(-1)).toMatch(/^f\.\d+$/);
    expect(begunAfter.at(-1)).toBe(lastId);
    tell('next');
    await eventually('the page hears it', () => again.heard().includes('id: next\n'));
  });

  test('goes on while the database is away, and ends when it is back and says no', async () => {
    const dora = await server.signIn('dora', { one: 'viewer' });
    const page = await listen(await ticketOf(dora));
    isDatabaseAway = true;
    await server.db.query('DELETE FROM admin_memberships WHERE user_id = $1', [dora.userId]);
    await eventually('it was asked in vain', () => askedInVain >= 2);
    tell('still');
    await eventually('the page hears it', () => page.heard().includes('id: still\n'));
    isDatabaseAway = false;
    await eventually('the page hears it', () => page.heard().includes('"reason":"access_changed"'));
  });

  test('tells a page where it stands without an event, and events that do not move it', async () => {
    const page = await listen(await ticketOf(anna));
    for (const emit of emitters) emit({ id: 'f.7', event: null });
    for (const emit of emitters)
      emit({ id: null, event: { type: 'board' } as unknown as SentEvent['event'] });
    await eventually(
      'the page hears it',
      () =>
        page.heard().includes('id: f.7\n\n') &&
        page.heard().includes('\nevent: board\ndata: {"type":"board"}\n\n'),
    );
    expect(page.heard()).not.toContain('id: null');
  });

  test('row 62: a user has so many at once, in all sessions, and no more', async () => {
    for (let i = 0; i < 16; i += 1) await listen(await ticketOf(anna));
    expect(await open(await ticketOf(anna))).toMatchObject({ status: 429 });
    const guest = await server.signIn('guest-2', { one: 'viewer' });
    await listen(await ticketOf(guest));
  });

  test('says goodbye when the process stops, also to one that comes then', async () => {
    const page = await listen(await ticketOf(anna));
    stopping.abort();
    await eventually('the page hears it', () =>
      page.heard().includes('event: bye\ndata: {"type":"bye","reason":"draining"}'),
    );
    const late = await open(await ticketOf(anna));
    expect(late.text).toContain('"reason":"draining"');
  });
});
