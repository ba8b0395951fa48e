import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { auditGame } from '../../audit/audit.js';
import { applyToRoles, auditParts, playedEvents, prepareGame } from '../../audit/fixtures.js';
import { OutageError } from '../../kernel/errors.js';
import { testDatabase, type TestDatabase } from '../../testkit/postgres.js';
import { healParts } from './fixtures.js';
import { healPlayers, type HealParts } from './heal.js';
import type { Healed } from './port.js';
import { makeProfile } from './profile.postgres.js';

let server: TestDatabase;
beforeAll(async () => {
  server = await testDatabase();
  await prepareGame(server.db);
  await applyToRoles(server.db, playedEvents());
});
afterAll(() => server.close());

const PLAYERS = ['p-1', 'p-2', 'p-3'];
const parts = (): HealParts => healParts(server.db);
const heal = (given = parts(), isDryRun = false): Promise<readonly Healed[]> =>
  healPlayers('demo', PLAYERS, given, isDryRun);
const kinds = (healed: readonly Healed[]): string[] =>
  healed.map(({ playerId, role, verdict }) => `${playerId} ${role} ${verdict.kind}`);
const spoil = async (): Promise<void> => {
  await server.db.query("UPDATE board_scores SET score = score + 7 WHERE board = 'xp' AND subject <> 'p-2'");
};
const audit = () => auditGame('demo', { db: server.db, ...auditParts });
const profile = (set: string): Promise<unknown> =>
  server.db.query(`UPDATE player_profiles SET ${set} WHERE player_id = 'p-1'`);
const profiles = (): Promise<object[]> =>
  server.db.query('SELECT player_id, events, first_seen_ms FROM player_profiles ORDER BY player_id');

test('a player of whom there is too much is left and named, and those beside them are made again', async () => {
  const { db } = server;
  await db.query(
    `INSERT INTO events (dedupe_day, identity, game_id, player_id, event_id, type, ts_ms, received_at_ms, src, key_id,
                         definition_version, content_hash, payload)
     SELECT '2026-11-20', md5('much' || n)::uuid, 'demo', 'p-2', 'much-' || n, 'chat', n, 0, 'server', 'k', 1, '',
            jsonb_build_object('text', repeat('x', 1048576)) FROM generate_series(1, 65) AS n`,
  );
  await spoil();
  const why = "the player's events have more than 64 MiB of payloads";
  const healed = await heal();
  expect(kinds(healed)).toEqual([
    'p-2 progression unread',
    'p-2 leaderboard unread',
    'p-1 leaderboard repaired',
    'p-3 leaderboard repaired',
  ]);
  expect(healed[0]?.verdict).toEqual({ kind: 'unread', why });
  expect((await audit()).unread).toEqual([{ playerId: 'p-2', why }]);
  await db.query("DELETE FROM events WHERE event_id LIKE 'much-%'");
  expect(await audit()).toMatchObject({ unread: [], differences: [] });
});

test('a look that fails is taken in halves: the player at fault is left, everybody else is made again', async () => {
  await spoil();
  const { recount, ...others } = parts();
  const looks: string[] = [];
  const failing: HealParts = {
    ...others,
    recount: (sql, role, gameId, players) => {
      looks.push(players.join(' '));
      if (players.includes('p-2'))
        throw new OutageError('PostgreSQL (57014: canceling statement due to timeout)');
      return recount(sql, role, gameId, players);
    },
  };
  expect(kinds(await heal(failing))).toEqual([
    'p-2 progression unread',
    'p-2 leaderboard unread',
    'p-1 leaderboard repaired',
    'p-3 leaderboard repaired',
  ]);
  expect(looks.slice(0, 5)).toEqual(['p-1 p-2 p-3', 'p-1 p-2', 'p-1', 'p-2', 'p-3']);
});

test('a database that does not answer is nobody’s fault', async () => {
  const away = new OutageError('PostgreSQL');
  const silent: HealParts = {
    ...parts(),
    db: { ...server.db, query: () => Promise.reject(away) },
    recount: () => Promise.reject(away),
  };
  await expect(heal(silent)).rejects.toBe(away);
});

test.each(['events = events - 1', 'first_seen_ms = 0', 'events = 0, last_seen_ms = 7'])(
  'a profile with %s is made again from the archive, and keeps nothing else from being made again',
  async (damage) => {
    const before = await profiles();
    await profile(damage);
    await spoil();
    expect(kinds(await heal(parts(), true))[0]).toBe('p-1 archive wrong');
    expect(kinds(await heal())).toEqual([
      'p-1 archive repaired',
      'p-1 leaderboard repaired',
      'p-3 leaderboard repaired',
    ]);
    expect(await profiles()).toEqual(before);
    expect(await heal()).toEqual([]);
  },
);

test('a profile that was lost is made again', async () => {
  const before = await profiles();
  await server.db.query("DELETE FROM player_profiles WHERE player_id = 'p-1'");
  expect(kinds(await heal())).toEqual(['p-1 archive repaired']);
  expect(await profiles()).toEqual(before);
});

test('a profile that counts more than the archive has is told and stays, until somebody says that the archive is whole', async () => {
  const before = await profiles();
  await profile('events = events + 2');
  await spoil();
  const healed = await heal();
  expect(kinds(healed).filter((one) => one.startsWith('p-1'))).toEqual([
    'p-1 archive blocked',
    'p-1 archive blocked',
    'p-1 leaderboard blocked',
  ]);
  const made = await server.db.transaction((sql) =>
    makeProfile(sql, { gameId: 'demo', playerId: 'p-1' }, true),
  );
  expect(made).toBe(28);
  expect(await profiles()).toEqual(before);
  expect(kinds(await heal())).toEqual(['p-1 leaderboard repaired']);
});

test('a score that was lost is told as none, not as the room that was made for it', async () => {
  await server.db.query("DELETE FROM board_scores WHERE board = 'xp' AND subject = 'p-3'");
  const [{ verdict } = { verdict: null }, ...others] = await heal();
  expect(others).toEqual([]);
  expect(verdict).toMatchObject({ kind: 'repaired', wrong: [{ found: 'none' }, { found: 'none' }] });
});
