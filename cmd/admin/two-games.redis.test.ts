import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Redis } from 'ioredis';
import type { Operation } from '../../pkg/admin/api/document.js';
import { commitBatch } from '../../pkg/leaderboard/fixtures.js';
import { createRedisClient, redisReady } from '../../pkg/redis/client.js';
import { adminDocument, type Answered, type SignedInTester } from '../../pkg/testkit/admin-server.js';
import { roleEvent } from '../../pkg/testkit/admitted-event.js';
import { eventually } from '../../pkg/testkit/eventually.js';
import { startRedisServer, type RedisServer } from '../../pkg/testkit/redis-server.js';
import { checksumTaker, type TakeChecksums } from '../../pkg/testkit/two-games/checksums.js';
import { MATRIX, OTHERS, type Asked, type Entry } from '../../pkg/testkit/two-games/matrix.js';
import { addFinding, marksIn, seedGame, type Things } from '../../pkg/testkit/two-games/seed.js';
import { startWholeServer, type WholeServer } from '../../pkg/testkit/two-games/server.js';

/**
 * Two games with two of everything, on the routes of the real composition. One person is admin of the first and nobody in
 * the second, another is admin of both. What the second one is answered about the second game is the proof that the same
 * request of the first person was refused for the wall and for nothing else.
 */
let redisServer: RedisServer;
let redis: Redis;
let server: WholeServer;
let stranger: SignedInTester;
let admin: SignedInTester;
let one: Things;
let two: Things;
let checksums: TakeChecksums;

beforeAll(async () => {
  redisServer = await startRedisServer();
  redis = createRedisClient({ url: redisServer.url, commandTimeoutMs: 5_000 });
  await redisReady(redis, 10_000);
  server = await startWholeServer(redis);
  admin = await server.signIn('admin-of-both', {});
  const parts = { ...server, server, maker: admin };
  one = await seedGame({ gameId: 'secret-of-one', number: 12_345_678, code: 'code_of_one' }, parts);
  two = await seedGame({ gameId: 'secret-of-two', number: 87_654_321, code: 'code_of_two' }, parts);
  stranger = await server.signIn('admin-of-one', { [one.gameId]: 'admin' });
  checksums = await checksumTaker(server.db);
}, 60_000);
afterAll(async () => {
  await server.close();
  redis.disconnect();
  await redisServer.stop();
});

/** Asks an operation in a game. */
function ask(
  { ask: send }: SignedInTester,
  { method, path }: Operation,
  at: Things,
  asked: Asked,
): Promise<Answered> {
  const places: Asked['path'] = { ...asked.path, gameId: at.gameId };
  const place = path.replaceAll(/\{(\w+)\}/g, (_whole, name: string) =>
    encodeURIComponent(String(places[name])),
  );
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(asked.query ?? {})) query.set(name, String(value));
  const headers = typeof asked.body === 'string' ? { 'Content-Type': 'application/x-ndjson' } : {};
  return send(
    method.toUpperCase(),
    query.size === 0 ? place : `${place}?${query.toString()}`,
    asked.body,
    headers,
  );
}

const namesAThing = ({ path }: Operation): boolean => path.replace('{gameId}', '').includes('{');
const isPaged = ({ parameters }: Operation): boolean => parameters.some(({ name }) => name === 'cursor');
const statusOf = async (answer: Promise<Answered>): Promise<number> => (await answer).status;

/** Which marks of the second game an answer holds. */
const leaksIn = ({ text, headers }: Answered): string[] =>
  marksIn(two).filter((mark) => `${text}${JSON.stringify([...headers])}`.includes(mark));

/** The requests of the first person that could cross, and what they are answered. */
async function cross(operation: Operation, entry: Entry): Promise<void> {
  for (const asked of entry(two, one)) {
    const answer = await ask(stranger, operation, one, asked);
    const crossing = asked.crossing ?? (namesAThing(operation) ? 404 : 200);
    expect([asked, answer.status, leaksIn(answer)]).toEqual([asked, crossing, []]);
  }
  if (!isPaged(operation)) return;
  let pages = 0;
  for (const asked of entry(two, two)) {
    const first = await ask(admin, operation, two, { ...asked, query: { ...asked.query, limit: 1 } });
    const cursor = first.body.nextCursor as string | null;
    if (cursor === null || asked.query?.['around'] !== undefined) continue;
    const query = { ...asked.query, cursor };
    const answer = await ask(stranger, operation, one, { ...asked, query });
    expect([asked, leaksIn(answer)]).toEqual([asked, []]);
    if (answer.status === 200) pages += 1;
  }
  expect(pages).toBeGreaterThan(0);
}

/** The same in the second game by who may: it is there, and it is told. */
async function askOwn(operation: Operation, entry: Entry): Promise<void> {
  for (const asked of entry(two, two)) {
    const answer = await ask(admin, operation, two, asked);
    const isGood = asked.own === undefined ? answer.status < 300 : answer.status === asked.own;
    expect([asked, answer.status, isGood ? '' : answer.text]).toEqual([asked, answer.status, '']);
    const { shows } = asked;
    if (shows === undefined) expect([asked, leaksIn(answer)]).not.toEqual([asked, []]);
    else if (shows !== null) expect(answer.text).toContain(shows);
  }
}

const document = adminDocument();
const entryOf = ({ id }: Operation): Entry | string | undefined =>
  ({ ...MATRIX, ...OTHERS })[id as keyof typeof MATRIX | keyof typeof OTHERS];

test('row 69: every operation of the document has an entry in the matrix of games', () => {
  const ofGames = document.operations.filter(({ isOfGame }) => isOfGame).map(({ id }) => id);
  const others = document.operations.filter(({ isOfGame }) => !isOfGame).map(({ id }) => id);
  expect(Object.keys(MATRIX).sort()).toEqual(ofGames.sort());
  expect(Object.keys(OTHERS).sort()).toEqual(others.sort());
});

test('boards of both games stand in the view', async () => {
  for (const { gameId } of [one, two]) expect(await redis.keys(`lb:*${gameId}*`)).not.toEqual([]);
});

describe('by somebody who is nobody in the other game', () => {
  const rows = document.operations.filter((operation) => typeof entryOf(operation) === 'function');
  test.each(rows.map((operation) => [operation.id, operation] as const))(
    'row 69: %s tells nothing of that game and changes nothing in it, however it is asked',
    async (_id, operation) => {
      const entry = entryOf(operation);
      if (typeof entry !== 'function') throw new Error('no entry');
      const before = await checksums(two);
      if (operation.isOfGame)
        for (const asked of entry(two, two))
          expect([asked, await statusOf(ask(stranger, operation, two, asked))]).toEqual([asked, 404]);
      await cross(operation, entry);
      expect(await checksums(two)).toEqual(before);
      if (operation.isOfGame) await askOwn(operation, entry);
    },
    30_000,
  );

  test('row 69: nothing of it came into the audit log of that game', async () => {
    const rows = await server.db.query('SELECT 1 FROM admin_audit WHERE game_id = $1 AND actor = $2', [
      two.gameId,
      'admin-of-one',
    ]);
    expect(rows).toEqual([]);
  });
});

describe('a stream', () => {
  const topics = (things: Things): object => ({
    topics: [
      { topic: 'board', board: 'xp', window: 'all-time' },
      { topic: 'board', board: things.board, window: 'all-time' },
      { topic: 'findings' },
      { topic: 'pipeline' },
    ],
  });
  const tickets = ({ gameId }: Things): string => `/admin/v1/games/${gameId}/stream-tickets`;

  /** XP, a finding and a letter for a new player of a game. */
  async function happen({ gameId, number, code }: Things): Promise<void> {
    const playerId = `late-${gameId}`;
    const definition = await server.definitions.inForce(gameId, Date.now());
    if (definition === null) throw new Error('no definition');
    const payload = { deltaXp: number };
    const events = [roleEvent(definition, { id: `late-${gameId}`, playerId, tsMs: Date.now(), payload })];
    await commitBatch(server.db, events);
    await server.view.refresh(events);
    const finding = { gameId, playerId, metric: 'xp-gain', eventId: `late-${code}`, number };
    await addFinding(server.db, finding);
    await server.db.query(`INSERT INTO refusal_minutes VALUES ($1, date_trunc('minute', now()), $2, $1, 9)`, [
      gameId,
      `late_${code}`,
    ]);
  }

  /** Begins to listen; what was heard, until it is left. */
  async function listen(
    who: SignedInTester,
    things: Things,
  ): Promise<{ heard: () => string; leave: () => void }> {
    await server.definitions.refresh();
    const made = await who.ask('POST', tickets(things), topics(things));
    expect(made.status).toBe(201);
    const leaving = new AbortController();
    const response = await fetch(`${server.url}/admin/v1/stream?ticket=${String(made.body.ticket)}`, {
      signal: leaving.signal,
    });
    expect(response.status).toBe(200);
    let text = '';
    const read = async (): Promise<void> => {
      for await (const chunk of response.body ?? []) text += Buffer.from(chunk as Uint8Array).toString();
    };
    read().catch(() => undefined); // it ends when we leave
    return { heard: () => text, leave: () => leaving.abort() };
  }

  test('row 69: of a game in which one is nobody has no ticket', async () => {
    expect(await statusOf(stranger.ask('POST', tickets(two), topics(two)))).toBe(404);
  });

  test('row 69: of one game tells nothing of the other, while things happen in both', async () => {
    const [own, others] = [await listen(stranger, one), await listen(admin, two)];
    const hasHeard = (heard: string, { gameId, code }: Things): boolean =>
      [`"subject":"late-${gameId}"`, `late-${code}`, `late_${code}`].every((sign) => heard.includes(sign));
    await eventually('both listen', () =>
      [own, others].every(({ heard }) => heard().includes('event: pipeline')),
    );
    for (const things of [two, one]) await happen(things);
    await eventually(
      'each page hears of its game',
      () => hasHeard(own.heard(), one) && hasHeard(others.heard(), two),
    );
    own.leave();
    others.leave();
    for (const mark of marksIn(two)) expect(own.heard()).not.toContain(mark);
    for (const mark of marksIn(one)) expect(others.heard()).not.toContain(mark);
  }, 60_000);
});
