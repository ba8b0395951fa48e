import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { applyToRoles, playedEvents, prepareGame } from '../audit/fixtures.js';
import { testDatabase, type TestDatabase } from '../testkit/postgres.js';
import { refuseUnknown } from './walks.postgres.js';

let server: TestDatabase;
beforeAll(async () => {
  server = await testDatabase();
  await prepareGame(server.db);
  await applyToRoles(server.db, playedEvents());
});
afterAll(() => server.close());

test('a game or a player that nobody knows is refused by name, and whoever left anything is known', async () => {
  const { db } = server;
  await expect(refuseUnknown(db, 'demo', null)).resolves.toBeUndefined();
  await expect(refuseUnknown(db, 'demo', 'p-1')).resolves.toBeUndefined();
  await expect(refuseUnknown(db, 'dmeo', null)).rejects.toThrow('there is no game "dmeo"');
  await expect(refuseUnknown(db, 'dmeo', 'p-1')).rejects.toMatchObject({ code: 'game_unknown' });
  await expect(refuseUnknown(db, 'demo', 'p-one')).rejects.toMatchObject({ code: 'player_unknown' });
  await expect(refuseUnknown(db, 'demo', '')).rejects.toMatchObject({ code: 'player_unknown' });
  for (const table of ['player_profiles', 'player_progress'])
    await db.query(`DELETE FROM ${table} WHERE player_id = 'p-1'`);
  await db.query("DELETE FROM board_scores WHERE subject = 'p-1'");
  await expect(refuseUnknown(db, 'demo', 'p-1')).resolves.toBeUndefined();
});
