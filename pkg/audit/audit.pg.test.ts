import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { admittedEvent } from '../testkit/admitted-event.js';
import { testDatabase, type TestDatabase } from '../testkit/postgres.js';
import { auditGame } from './audit.js';
import { BREAKS } from './breaks.js';
import { applyToArchive, applyToRoles, auditParts, playedEvents, prepareGame, undone } from './fixtures.js';

let server: TestDatabase;
beforeAll(async () => {
  server = await testDatabase();
  await prepareGame(server.db);
  const events = playedEvents();
  await applyToRoles(server.db, events);
  await applyToRoles(server.db, events.slice(0, 20)); // redelivered
});
afterAll(() => server.close());

const audit = (db = server.db) => auditGame('demo', { db, ...auditParts });
const brokenBy = (statement: string) =>
  undone(server.db, async (db) => {
    const changed = await db.query(statement);
    return { changed, ...(await audit(db)) };
  });

test('what the roles wrote of redelivered events is exact, findings among it', async () => {
  const findings = await server.db.query('SELECT 1 FROM suspicious_events');
  expect(findings.length).toBeGreaterThan(0);
  expect(await audit()).toEqual({
    gameId: 'demo',
    players: 3,
    events: 84,
    differences: [],
    isComplete: true,
    unread: [],
    letters: [],
  });
});

test('a game that does not exist is told, not found exact', async () => {
  const unknown = auditGame('nobody', { db: server.db, ...auditParts });
  await expect(unknown).rejects.toMatchObject({ code: 'game_unknown' });
});

describe('each kind of difference is found:', () => {
  test.each(BREAKS.map(([name, ...rest]) => ({ name, rest })))(
    '$name',
    async ({ rest: [statement, kind, role, subject] }) => {
      const { differences } = await brokenBy(statement);
      expect(
        differences.map((difference) => ({ kind: difference.kind, role: difference.role })),
      ).toContainEqual({
        kind,
        role,
      });
      if (subject !== undefined)
        expect(
          differences
            .filter((difference) => difference.kind === kind)
            .map((difference) => difference.subject),
        ).toContain(subject);
    },
  );
});

test('an event that only the archive has seen yet is a difference until the others have', async () => {
  const late = admittedEvent({
    id: 'late-1',
    playerId: 'p-9',
    tsMs: Date.UTC(2026, 10, 21),
    payload: { deltaXp: 5, guild: 'red' },
  });
  await applyToArchive(server.db, [late]);
  let looks = 0;
  const clock = {
    sleep: async () => {
      looks += 1;
      if (looks === 2) await applyToRoles(server.db, [late]);
    },
  };
  expect((await auditGame('demo', { db: server.db, ...auditParts, clock })).differences).toEqual([]);
  expect(looks).toBe(2);
});

test('row 14: a conflict is no difference, and the audit names its letters', async () => {
  const result = await undone(server.db, async (db) => {
    await db.query(
      `INSERT INTO dead_letters (role, game_id, player_id, dedupe_day, identity, content_hash, transport_position, reason, detail, attempts, body, headers, code_version)
       SELECT 'progression', game_id, player_id, dedupe_day, identity, 'other', '0/1', 'event_id_conflict', '', 1, '', '{}', '' FROM events WHERE type = 'progression' LIMIT 1`,
    );
    return audit(db);
  });
  expect(result.differences).toEqual([]);
  expect(result.letters).toEqual([{ role: 'progression', reason: 'event_id_conflict', letters: 1 }]);
});

describe('every role enters every event:', () => {
  const entered = async (db = server.db, eventId: string) =>
    (
      await db.query<{ role: string }>(
        `SELECT i.role FROM inbox i JOIN events e USING (dedupe_day, identity, content_hash)
          WHERE e.event_id = $1 ORDER BY i.role`,
        [eventId],
      )
    ).map(({ role }) => role);
  const everyRole = ['archive', 'fairness', 'leaderboard', 'progression'];

  test('row 14: a type without work, then a gain under its id, are one event and a conflict in all roles', async () => {
    const of = { id: 'same-1', playerId: 'p-1', tsMs: Date.UTC(2026, 10, 21) };
    const silent = admittedEvent({ ...of, type: 'chat', payload: { deltaXp: 100, guild: 'red' } });
    const gain = admittedEvent({ ...of, payload: { deltaXp: 100, guild: 'red' } });
    await undone(server.db, async (db) => {
      const truth = (): Promise<object[]> =>
        db.query('SELECT * FROM board_scores ORDER BY board, cycle, partition, subject');
      const before = await truth();
      const outcomes = await applyToRoles(db, [silent, gain]);
      expect(outcomes.map(([first, then]) => [first, then])).toEqual(
        everyRole.map(() => ['ok', 'event_id_conflict']),
      );
      expect(await entered(db, 'same-1')).toEqual(everyRole);
      expect(await truth()).toEqual(before);
      expect(await audit(db)).toMatchObject({ differences: [], events: 86 });
    });
  });

  test('an event of an unknown type, sent again under a version that ranks it, stays what it was', async () => {
    const sent = {
      id: 'quest-1',
      playerId: 'p-1',
      type: 'unheard_of',
      tsMs: Date.UTC(2026, 10, 21),
      payload: {},
    };
    const before = admittedEvent({ ...sent, mapped: false });
    const again = admittedEvent({ ...sent, definitionVersion: 2 });
    const next = admittedEvent({ ...sent, id: 'quest-2', definitionVersion: 2 });
    await undone(server.db, async (db) => {
      await applyToRoles(db, [before]);
      const outcomes = await applyToRoles(db, [again, next]);
      expect(outcomes).toEqual(everyRole.map(() => ['ok', 'ok']));
      expect(await entered(db, 'quest-1')).toEqual(everyRole);
      const scores = await db.query("SELECT subject, score FROM board_scores WHERE board = 'unheard'");
      expect(scores).toEqual([{ subject: 'p-1', score: 1 }]);
      expect(await audit(db)).toMatchObject({ differences: [], events: 87 });
    });
  });
});
