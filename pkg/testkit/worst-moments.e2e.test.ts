import { afterAll, beforeAll, expect, test } from '@jest/globals';
import pg from 'pg';
import { createSignedClient } from '../client/signed-client.js';
import { systemClock } from '../kernel/clock.js';
import { laneOf } from '../kernel/lanes.js';
import { ROLES } from '../kernel/roles.js';
import { auditWithViews } from './chaos/verdict.js';
import { eventually } from './eventually.js';
import { goldenBodies, ofALaterBuild } from './golden.js';
import { StackBehindProxies, type Answer, type SentEvent } from './stack-behind-proxies.js';

/** Of a day whose grace is over, and which is still taken. */
const LONG_AGO_MS = Date.now() - 3 * 86_400_000;

let fair: StackBehindProxies;
beforeAll(async () => {
  fair = await StackBehindProxies.start();
  await fair.startWorker();
  await fair.accepted(gain('p-29', 7, { ts: LONG_AGO_MS }));
  await fair.stack.drained();
  await fair.startWorker(); // when it starts it closes what is due: the day of that event
}, 240_000);
afterAll(() => fair.close(), 60_000);

let ids = 0;
function gain(playerId: string, deltaXp: number, more: Partial<SentEvent> = {}): SentEvent {
  ids += 1;
  const payload = { deltaXp, activity: 'quest' };
  return { id: `e-${String(ids)}`, type: 'progression', playerId, ts: Date.now(), payload, ...more };
}

test('row 30: an event of four minutes ahead counts at the time it was sent with and is flagged; one of an hour ahead is 400', async () => {
  // A key with the scope `replay` may reach further, so a game client asks.
  const minted = await fair.client.send('POST', '/v1/sessions', { body: '{"playerId":"p-30"}' });
  const session = createSignedClient({
    ...JSON.parse(minted.text),
    url: fair.gatewayUrl,
    clock: systemClock,
  });
  const ahead = gain('p-30', 10, { ts: Date.now() + 240_000 });
  expect((await fair.post(ahead, session)).status).toBe(202);
  const refused = await fair.post(gain('p-30', 100, { ts: Date.now() + 3_600_000 }), session);
  session.close();
  expect(refused.status).toBe(400);
  expect(JSON.parse(refused.text)).toMatchObject({
    code: 'event_in_future',
    pointer: '/ts',
    retryable: true,
  });
  await fair.counts('p-30', 10);
  expect(await fair.placeOf('p-30')).toMatchObject({ reachedAt: new Date(ahead.ts).toISOString() });
  expect(
    await fair.stack.db.query("SELECT ts_ms, context -> 'future' AS future FROM events WHERE event_id = $1", [
      ahead.id,
    ]),
  ).toEqual([{ ts_ms: ahead.ts, future: true }]);
});

test('row 32: events of a player out of order and twice lead to the state that they lead to in order', async () => {
  const now = Date.now();
  const story = (player: string): SentEvent[] =>
    [300, 5, 2_000, 1, 900].flatMap((xp, n) => [
      gain(player, xp, { ts: now - 60_000 + 2 * n }),
      gain(player, 0, {
        type: 'boss_kill',
        ts: now - 60_000 + 2 * n + 1,
        payload: { bossId: 'hydra', durationMs: 90_000 - ((n * 7) % 5) * 1_000 },
      }),
    ]);
  const shuffled = story('p-32-shuffled');
  await fair.postBatch(shuffled.slice(5).reverse());
  await fair.postBatch(story('p-32-in-order'));
  await fair.postBatch(shuffled.slice(0, 5));
  await fair.stack.drained();
  const again = await fair.postBatch([...shuffled].reverse());
  expect(again).toMatchObject({ accepted: 0, duplicates: 10, rejected: 0 });
  await fair.counts('p-32-shuffled', 3_206);
  const stateOf = async (player: string): Promise<unknown> => {
    const { playerId, ...progress } = await fair.progressOf(player);
    expect(playerId).toBe(player);
    const { items } = await fair.read(`/v1/players/${player}/receipts`);
    const grants = (items as Answer[]).map(({ reward, amount, cause }) => [cause, reward, amount]);
    const kills = await fair.placeOf(player, 'board=boss-time&partition=hydra&window=all-time');
    const places = [await fair.placeOf(player), kills].map(({ score, reachedAt }) => [score, reachedAt]);
    return { progress, grants: grants.sort(), places };
  };
  expect(await stateOf('p-32-shuffled')).toEqual(await stateOf('p-32-in-order'));
});

test.each(['sent', 'answered'] as const)(
  'row 43: the connection of a worker is cut when COMMIT was %s: exactly one effect',
  async (when) => {
    const player = `p-43-${when}`;
    const before = await fair.duplicates();
    // With its end of string: BEGIN says READ COMMITTED.
    const cut = fair.network.workers.cutAfter([player, 'COMMIT\u0000'], when);
    await fair.accepted(gain(player, 10));
    await cut;
    await fair.counts(player, 10);
    if (when === 'answered') expect(await fair.duplicates()).toBeGreaterThan(before);
  },
);

test.each(['sent', 'answered'] as const)(
  'row 47: the connection of the gateway is cut when the publishing of an event was %s: 503, and sent again it counts once',
  async (when) => {
    const player = `p-47-${when}`;
    const event = gain(player, 10);
    const before = await fair.duplicates();
    const cut = fair.network.gateway.cutAfter(player, when);
    const answer = await fair.post(event);
    await cut;
    expect(answer.status).toBe(503);
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
    expect(JSON.parse(answer.text)).toMatchObject({ retryable: true });
    await fair.accepted(event);
    await fair.counts(player, 10);
    // It was on the bus twice.
    if (when === 'answered') expect(await fair.duplicates()).toBeGreaterThanOrEqual(before + ROLES.length);
  },
);

test('row 42: a worker and another session in opposite order deadlock in PostgreSQL: exact, and nothing but a retry is seen', async () => {
  // Of one lane, so that one batch has them all.
  const lane = laneOf('demo', 'p-42-0');
  const named = Array.from({ length: 1_000 }, (_, n) => `p-42-${String(n)}`);
  const players = named
    .filter((player) => laneOf('demo', player) === lane)
    .slice(0, 3)
    .sort();
  const [a, b, c] = players;
  await fair.postBatch(players.map((player) => gain(player, 1)));
  await fair.stack.drained();

  const retriesBefore = await fair.metric('fairtally_role_transaction_retries_total');
  const [other, third] = await Promise.all([session(), session()]);
  await other.lock(c!);
  await third.lock(b!);
  await fair.postBatch(players.map((player) => gain(player, 10)));
  await eventually('the worker has the first and waits for the second', () => third.isInTheWay());
  const first = other.lock(a!);
  await eventually('the other session waits for the first', () => other.isWaiting());
  await third.end(); // the worker goes on to the last: a circle, which PostgreSQL breaks
  await first;
  await other.end();
  for (const player of players) await fair.counts(player, 11);
  expect(await fair.metric('fairtally_role_transaction_retries_total')).toBeGreaterThan(retriesBefore);
  expect(await Promise.all(players.map((player) => fair.lettersOf(player)))).toEqual([[], [], []]);
});

/** A session that locks the progress of players, one after the other. In a deadlock it is never the one that is ended. */
async function session() {
  const own = new pg.Client(fair.stack.databaseUrl);
  await own.connect();
  await own.query("BEGIN; SET LOCAL deadlock_timeout = '1h'");
  const { rows } = await own.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  const holds = async (condition: string): Promise<boolean> =>
    (await fair.stack.db.query(`SELECT 1 FROM pg_stat_activity WHERE ${condition}`, [rows[0]?.pid])).length >
    0;
  return {
    lock: (player: string) =>
      own.query('SELECT 1 FROM player_progress WHERE player_id = $1 FOR UPDATE', [player]),
    isInTheWay: () => holds('$1 = ANY (pg_blocking_pids(pid))'),
    isWaiting: () => holds('pid = $1 AND cardinality(pg_blocking_pids(pid)) > 0'),
    end: () => own.end(),
  };
}

test('row 40: the answer to a write of the board is cut: the score is right at any time, and after the next write too', async () => {
  await fair.accepted(gain('p-40', 1));
  await fair.counts('p-40', 1);
  const cut = fair.network.redis.cutAfter('p-40', 'answered');
  await fair.accepted(gain('p-40', 10));
  await cut;
  await fair.counts('p-40', 11);
  await fair.viewIsWhole();
  expect(await fair.placeOf('p-40')).toMatchObject({ score: 11 });
  await fair.accepted(gain('p-40', 100));
  await fair.counts('p-40', 111);
});

test('row 38: a replica without the latest scores takes over: the board may lag, and is right once it is built again', async () => {
  await fair.accepted(gain('p-38', 5));
  await fair.counts('p-38', 5);
  await fair.viewIsWhole();
  const takeOver = await fair.lateReplica();
  await fair.accepted(gain('p-38', 6));
  await fair.counts('p-38', 11);
  await takeOver();
  const whole = fair.viewIsWhole().then(() => true);
  while ((await Promise.race([whole, systemClock.sleep(50)])) !== true)
    expect([5, 11]).toContain((await fair.placeOf('p-38')).score);
  expect(await fair.placeOf('p-38')).toMatchObject({ score: 11 });
  await fair.accepted(gain('p-38', 100));
  await fair.counts('p-38', 111);
});

const ofVersion2 = (body: string): string => body.replace('{"v":1,', '{"v":2,');

test('row 53: while dead letters cannot be written the role waits and its metrics say so; then the letters are there and it goes on', async () => {
  const each = (name: string): Promise<number[]> =>
    Promise.all(ROLES.map((role) => fair.metric(name, `role="${role}"`)));
  const [golden = ''] = goldenBodies(1);
  await fair.stack.db.query('REVOKE INSERT ON dead_letters FROM fairtally_worker');
  await fair.publish([ofVersion2(golden).replace('"p-1"', '"p-53"')]);
  await eventually('every role tells', async () =>
    (await each('fairtally_dead_letter_failures_total')).every((failures) => failures > 0),
  );
  await fair.accepted(gain('p-53', 10));
  await eventually('both wait for every role', async () =>
    (await each('fairtally_lag_events')).every((waiting) => waiting >= 2),
  );
  expect(await fair.lettersOf('p-53')).toEqual([]);
  expect(await fair.progressOf('p-53')).toMatchObject({ status: 404 });

  await fair.stack.db.query('GRANT INSERT ON dead_letters TO fairtally_worker');
  await fair.counts('p-53', 10);
  expect(await fair.lettersOf('p-53')).toMatchObject(
    [...ROLES].sort().map((role) => ({ role, reason: 'unknown_version', state: 'open' })),
  );
});

/** Of the golden messages those that this game knows and can apply. */
const OF_THE_SAMPLE = /"gameId":"demo".*"payload":\{.+\}.*"definitionVersion":1,/;

test('row 76: messages of an older and a later build of one version take effect once; those of a later version are letters and hold nobody up', async () => {
  const golden = goldenBodies(1).filter((body) => OF_THE_SAMPLE.test(body));
  const later = golden.map(ofALaterBuild);
  const half = Math.floor(golden.length / 2);
  const unreadable = golden.slice(0, 2).map(ofVersion2);
  await fair.publish([...golden.slice(0, half), ...later.slice(half), ...unreadable]);
  await fair.publish([...later, ...golden]);
  await fair.accepted(gain('p-1', 5));
  const events = golden.map((body) => JSON.parse(body) as SentEvent);
  const xp = events
    .filter(({ playerId, type }) => playerId === 'p-1' && type === 'progression')
    .reduce((sum, { payload }) => sum + Number(payload['deltaXp']), 0);
  await fair.counts('p-1', xp + 5);
  const archived = await fair.stack.db.query('SELECT 1 FROM events WHERE event_id = ANY ($1)', [
    events.map(({ id }) => id),
  ]);
  expect(archived).toHaveLength(golden.length);
  expect(await fair.lettersOf('p-1')).toEqual(
    [...ROLES]
      .sort()
      .flatMap((role) =>
        [...unreadable].sort().map((body) => ({ role, reason: 'unknown_version', state: 'open', body })),
      ),
  );
});

test('row 29: an event of a day that is closed counts in its own day: the final ranking stays, the revised one has it', async () => {
  const day = new Date(LONG_AGO_MS).toISOString().slice(0, 10);
  const ranking = (more = ''): Promise<Answer> =>
    fair.read(`/v1/leaderboards/xp?window=daily&cycle=${day}${more}`);
  await eventually('the day is final', async () => (await ranking())['state'] === 'final');
  const final = await ranking();
  expect(final['entries']).toMatchObject([{ playerId: 'p-29', score: 7 }]);
  await fair.accepted(gain('p-29', 5, { ts: LONG_AGO_MS + 1 }));
  await fair.counts('p-29', 12);
  await eventually('it is revised', async () => (await ranking('&revised=true'))['state'] === 'revised');
  expect((await ranking('&revised=true'))['entries']).toMatchObject([{ playerId: 'p-29', score: 12 }]);
  expect(await ranking()).toEqual(final);
  expect(await fair.placeOf('p-29', 'board=xp&window=daily')).toEqual({ score: 0 });
});

test('after all of it every player, board and view is what the archive makes of it', async () => {
  await fair.stack.drained();
  const audit = await auditWithViews(fair.stack.db, fair.stack.env['REDIS_URL'] ?? null);
  expect(audit).toMatchObject({ differences: [], isComplete: true, unread: [] });
  expect(audit.players).toBeGreaterThan(10);
});
