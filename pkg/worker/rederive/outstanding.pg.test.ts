import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { applyToArchive, deliveryOf, handlersOf, prepareGame } from '../../audit/fixtures.js';
import { createDatabase } from '../../postgres/database.js';
import { admittedEvent } from '../../testkit/admitted-event.js';
import { testDatabase, type TestDatabase } from '../../testkit/postgres.js';
import { healParts, steppingClock } from './fixtures.js';
import { settledHorizon } from './followed.postgres.js';
import { healPlayers } from './heal.js';
import { followRole, readOutstanding, STRANGERS_MAX } from './outstanding.js';
import type { Outstanding } from './port.js';

let server: TestDatabase;
beforeEach(async () => {
  server = await testDatabase();
  await prepareGame(server.db);
});
afterEach(() => server.close());

const query = (text: string, values: readonly unknown[] = []): Promise<object[]> =>
  server.db.query(text, values);
const outstanding = async (): Promise<Outstanding | null> => {
  const parts = { db: server.db, clock: steppingClock() };
  return readOutstanding(parts, 'progression', 'demo', await followRole(parts, 'progression', 1_000));
};
const strangers = async (): Promise<string[]> =>
  ((await outstanding())?.strangers ?? []).map(({ identity }) => identity.replaceAll('-', ''));

/** Everything happened a while ago, further than any transaction that runs. */
const goBack = async (): Promise<void> => {
  await query("UPDATE games SET created_at = created_at - interval '2 days'");
  await query("UPDATE inbox SET settled_at = settled_at - interval '1 day'");
};
/** What is read of the inbox from now on is what was settled after it was followed. */
const hideFollowed = (): Promise<object[]> =>
  query(
    'DELETE FROM inbox WHERE settled_at <= (SELECT through FROM archive_followed WHERE role = inbox.role)',
  );

const event = (id: string): ReturnType<typeof admittedEvent> =>
  admittedEvent({ id, playerId: 'p-1', payload: { deltaXp: 5, guild: 'red' } });
const count = (...ids: string[]): Promise<unknown> =>
  handlersOf(server.db).progression(ids.map(event).map(deliveryOf));

test('what a role settled is held against the archive once: what that lacks is kept, and forgotten when it comes', async () => {
  await count('old-1', 'old-2', 'old-3');
  await applyToArchive(server.db, [event('old-2')]);
  await goBack();
  expect((await strangers()).sort()).toEqual([event('old-1').identity, event('old-3').identity].sort());
  await hideFollowed();
  await count('new');
  expect((await strangers()).sort()).toEqual(
    ['old-1', 'old-3', 'new'].map((id) => event(id).identity).sort(),
  );

  await applyToArchive(server.db, ['old-1', 'new'].map(event));
  expect(await strangers()).toEqual([event('old-3').identity]);
  await followRole({ db: server.db, clock: steppingClock() }, 'progression', 1_000);
  await applyToArchive(server.db, [event('old-3')]);
  await goBack();
  expect(await strangers()).toEqual([]);
});

test('a player of whom the archive lacks an old event is left as he is, until it comes', async () => {
  await count('old-1');
  await goBack();
  await query('UPDATE player_progress SET total_xp = 77');
  const heal = async (): Promise<string[]> =>
    (await healPlayers('demo', ['p-1'], healParts(server.db))).map(
      ({ role, verdict }) => `${role} ${verdict.kind}`,
    );
  expect(await heal()).toEqual(['progression moving']);
  await applyToArchive(server.db, [event('old-1')]);
  expect(await heal()).toContain('progression repaired');
  expect(await query('SELECT total_xp FROM player_progress')).toEqual([{ total_xp: 5 }]);
});

test('a transaction that runs holds the horizon back, also where the worker acts as its role; one whose times are not shown as far as may be', async () => {
  const worker = createDatabase({ url: server.url, poolSize: 1, role: 'fairtally_worker' });
  const horizons = async (): Promise<number[]> => [
    await settledHorizon(server.db),
    await settledHorizon(worker),
    await settledHorizon(server.db),
  ];
  await server.db.transaction(async (sql) => {
    const [began] = await sql.query<{ ms: number }>('SELECT extract(epoch FROM now())::float8 * 1000 AS ms');
    expect(await horizons()).toEqual(Array(3).fill(Math.floor((began?.ms ?? 0) - 30_000)));
  });
  const seen = await settledHorizon(worker);
  await query('ALTER FUNCTION settled_horizon() OWNER TO fairtally_api');
  expect(seen - (await settledHorizon(server.db))).toBeGreaterThan(9 * 60_000);
  await worker.close();
});

test('an archive that lacks too much is not followed further, and nothing is made from it until it comes', async () => {
  await query("SELECT ensure_month('2026-11-20')");
  await query(
    `INSERT INTO inbox (role, dedupe_day, identity, game_id, lane, content_hash, definition_version, settled_at)
     SELECT 'progression', '2026-11-20', md5(n::text)::uuid, 'demo', 1, '', 1, now() - interval '1 hour'
       FROM generate_series(1, $1::int) AS n`,
    [STRANGERS_MAX + 1],
  );
  await query("UPDATE games SET created_at = now() - interval '1 day'");
  expect(await outstanding()).toBeNull();
  await query("DELETE FROM inbox WHERE identity <= md5('7')::uuid");
  expect((await outstanding())?.strangers.length).toBeGreaterThan(1_000);
});
