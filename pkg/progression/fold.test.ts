import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { GameDefinition } from '../games/port.js';
import { roleEvent, TEST_TS_MS } from '../testkit/admitted-event.js';
import { droppedItem, testDefinition, testLevels } from '../testkit/definition.js';
import type { RoleEvent } from '../worker/port.js';
import {
  foldProgression,
  grantRef,
  newcomer,
  playerRef,
  type Grant,
  type LedgerRow,
  type PlayerProgress,
} from './fold.js';

const definition = testDefinition();

/** What the tables would hold after batches, one transaction each. */
function run(batches: readonly (readonly RoleEvent[])[]): Ran {
  const players = new Map<string, PlayerProgress>();
  const grants = new Map<string, Grant>();
  const ledger: LedgerRow[] = [];
  for (const batch of batches) {
    for (const { event } of batch) {
      if (!players.has(playerRef(event))) players.set(playerRef(event), newcomer(event));
    }
    const changes = foldProgression({ players, granted: new Set(grants.keys()) }, batch);
    for (const [ref, player] of changes.players) players.set(ref, player);
    for (const grant of changes.grants) grants.set(grantRef(grant.event, grant.grantKey), grant);
    ledger.push(...changes.ledger);
  }
  return { players, grants, ledger };
}

interface Ran {
  readonly players: ReadonlyMap<string, PlayerProgress>;
  readonly grants: ReadonlyMap<string, Grant>;
  readonly ledger: readonly LedgerRow[];
}

const xp = (id: string, deltaXp: number, under: GameDefinition = definition): RoleEvent =>
  roleEvent(under, { id, payload: { deltaXp } });
const granted = (ran: Ran): string[] =>
  [...ran.grants].map(([ref, { reward, amount }]) => `${ref} = ${String(amount)} ${reward}`).sort();
const keys = (ran: Ran): string[] => [...ran.grants.values()].map((grant) => grant.grantKey).sort();
const player = (ran: Ran): PlayerProgress => [...ran.players.values()][0] ?? newcomer(xp('none', 0).event);

describe('experience', () => {
  test('a total, a level and the greatest event time come out of events', () => {
    const ran = run([
      [
        roleEvent(definition, { id: 'a', tsMs: TEST_TS_MS + 5, payload: { deltaXp: 300 } }),
        roleEvent(definition, { id: 'b', tsMs: TEST_TS_MS, payload: { deltaXp: 100 } }),
      ],
    ]);
    expect(player(ran)).toMatchObject({ totalXp: 400, level: 3, updatedAtMs: TEST_TS_MS + 5, definition });
    expect(ran.ledger.map((row) => [row.event.id, row.deltaXp])).toEqual([
      ['a', 300],
      ['b', 100],
    ]);
  });

  test('a total that would leave the safe integers is poison, and one below it is not', () => {
    const full = xp('a', Number.MAX_SAFE_INTEGER);
    expect(player(run([[full]])).totalXp).toBe(Number.MAX_SAFE_INTEGER);
    expect(() => run([[full, xp('b', 1)]])).toThrow(
      expect.objectContaining({ name: 'PoisonError', code: 'xp_overflow' }),
    );
  });

  test.each([-1, 1.5, '12', null, undefined, 2 ** 53])('%p as XP is poison', (deltaXp) => {
    const payload = deltaXp === undefined ? {} : { deltaXp };
    expect(() => run([[roleEvent(definition, { id: 'a', payload })]])).toThrow(
      expect.objectContaining({ name: 'PoisonError', code: 'bad_payload' }),
    );
  });

  test('a game without levels counts no XP and still grants rewards', () => {
    const flat = testDefinition({ levels: null });
    const kill = roleEvent(flat, { id: 'a', type: 'boss_kill', payload: { bossId: 'hydra' } });
    const ran = run([[kill, xp('b', 500, flat)]]);
    expect(player(ran)).toMatchObject({ totalXp: 0, level: 1 });
    expect(keys(ran)).toEqual(['boss:hydra:trophy']);
  });
});

describe('grants', () => {
  test('a jump over several levels grants every one of them, caused by the event that crossed it', () => {
    const ran = run([[xp('small', 100), xp('great', 8_000)]]);
    expect(player(ran).level).toBe(10);
    const causes = [...ran.grants.values()].map((g) => [g.grantKey, g.amount, g.event.id]);
    expect(causes.slice(0, 2)).toEqual([
      ['level:2:coins', 200, 'small'],
      ['level:3:coins', 300, 'great'],
    ]);
    expect(causes.slice(-2)).toEqual([
      ['level:10:coins', 1_000, 'great'],
      ['level:10:chest', 1, 'great'],
    ]);
    expect(causes).toHaveLength(10);
  });

  test('the first kill of a boss grants its trophy, further kills and other batches do not', () => {
    const kill = (id: string, bossId: string): RoleEvent =>
      roleEvent(definition, { id, type: 'boss_kill', payload: { bossId, durationMs: 9 } });
    const ran = run([
      [kill('a', 'hydra'), kill('b', 'hydra')],
      [kill('c', 'hydra'), kill('d', 'golem')],
    ]);
    expect([...ran.grants.values()].map((g) => [g.grantKey, g.event.id])).toEqual([
      ['boss:hydra:trophy', 'a'],
      ['boss:golem:trophy', 'd'],
    ]);
  });

  test('a drop grants its own item once, one piece where no quantity is given', () => {
    const drop = (id: string, payload: { dropId: string; itemId: string; quantity?: number }): RoleEvent =>
      roleEvent(definition, { id, type: 'drop_claimed', payload });
    const ran = run([
      [
        drop('a', { dropId: 'd-1', itemId: 'potion', quantity: 3 }),
        drop('b', { dropId: 'd-1', itemId: 'potion', quantity: 3 }),
        drop('c', { dropId: 'd-2', itemId: 'sword' }),
      ],
    ]);
    expect(granted(ran)).toEqual([
      'demo\u0000p-1\u0000drop:d-1 = 3 potion',
      'demo\u0000p-1\u0000drop:d-2 = 1 sword',
    ]);
  });

  test.each([
    ['no cause', { itemId: 'x' }],
    ['no item', { dropId: 'd' }],
    ['an item that is no text', { dropId: 'd', itemId: 7 }],
    ['an amount of nothing', { dropId: 'd', itemId: 'x', quantity: 0 }],
    ['a cause that no key can hold', { dropId: 'd'.repeat(600), itemId: 'x' }],
    ['a NUL in the cause', { dropId: 'd\u0000', itemId: 'x' }],
    ['half a surrogate pair', { dropId: 'd\ud800', itemId: 'x' }],
  ])('a drop with %s is poison', (_what, payload) => {
    expect(() => run([[roleEvent(definition, { id: 'a', type: 'drop_claimed', payload })]])).toThrow(
      expect.objectContaining({ name: 'PoisonError', code: 'bad_payload' }),
    );
  });

  test('one cause of two players is two grants', () => {
    const kill = (playerId: string): RoleEvent =>
      roleEvent(definition, { id: 'a', playerId, type: 'boss_kill', payload: { bossId: 'hydra' } });
    expect(run([[kill('p-1'), kill('p-2')]]).grants.size).toBe(2);
  });
});

describe('definition versions', () => {
  const steep = testDefinition({ version: 2, levels: testLevels(400) });

  test('the level follows the greatest version counted, whatever comes late', () => {
    const early = run([[xp('a', 400), xp('b', 0, steep)]]);
    const late = run([[xp('b', 0, steep)], [xp('a', 400)]]);
    expect(player(early)).toEqual(player(late));
    expect(player(early)).toMatchObject({ level: 2, definition: steep });
  });

  test('a level that a new curve took away and that is reached again is not paid again', () => {
    const ran = run([[xp('a', 400)], [xp('b', 0, steep)], [xp('c', 1_200, steep)]]);
    expect(player(ran).level).toBe(3);
    expect([...ran.grants.values()].map((g) => [g.grantKey, g.event.id, g.definitionVersion])).toEqual([
      ['level:2:coins', 'a', 1],
      ['level:3:coins', 'a', 1],
    ]);
  });

  test('each grant carries the version whose rule made it', () => {
    const kill = roleEvent(definition, { id: 'k', type: 'boss_kill', payload: { bossId: 'hydra' } });
    const ran = run([[xp('a', 400, steep), kill]]);
    expect([...ran.grants.values()].map((g) => [g.grantKey, g.definitionVersion])).toEqual([
      ['level:2:coins', 2],
      ['boss:hydra:trophy', 1],
    ]);
  });
});

describe('any split, any order', () => {
  const rules = testDefinition({ rewards: [...definition.rewards, { ...droppedItem, causeName: 'gift' }] });
  const anEvent = fc.record({
    playerId: fc.constantFrom('p-1', 'p-2', 'p-3'),
    tsMs: fc.integer({ min: 0, max: 100 }).map((ms) => TEST_TS_MS + ms),
    content: fc.oneof(
      fc.record({ type: fc.constant('progression'), n: fc.integer({ min: 0, max: 20_000 }) }),
      fc.record({ type: fc.constant('boss_kill'), n: fc.integer({ min: 1, max: 4 }) }),
      fc.record({ type: fc.constant('drop_claimed'), n: fc.integer({ min: 1, max: 6 }) }),
    ),
  });
  const payloadOf = (type: string, n: number): Record<string, string | number> => {
    if (type === 'progression') return { deltaXp: n };
    if (type === 'boss_kill') return { bossId: `b-${String(n)}` };
    return { dropId: `d-${String(n)}`, itemId: `i-${String(n)}`, quantity: n };
  };
  const someEvents = fc
    .array(anEvent, { maxLength: 40 })
    .map((list) =>
      list.map(({ playerId, tsMs, content: { type, n } }, index) =>
        roleEvent(rules, { id: `e-${String(index)}`, playerId, tsMs, type, payload: payloadOf(type, n) }),
      ),
    );

  test('a sequence gives the same rows however it is split into batches', () => {
    fc.assert(
      fc.property(someEvents, fc.array(fc.boolean(), { maxLength: 40 }), (events, cuts) => {
        const batches: RoleEvent[][] = [[]];
        events.forEach((event, index) => {
          if (cuts[index] === true) batches.push([]);
          batches.at(-1)?.push(event);
        });
        expect(run(batches)).toEqual(run([events]));
      }),
    );
  });

  test('totals, levels, times and what is granted do not depend on the order of delivery', () => {
    const shuffled = someEvents.chain((events) =>
      fc.tuple(
        fc.constant(events),
        fc.shuffledSubarray(events, { minLength: events.length, maxLength: events.length }),
      ),
    );
    fc.assert(
      fc.property(shuffled, ([events, others]) => {
        const [one, other] = [run([events]), run([others])];
        expect(other.players).toEqual(one.players);
        expect(granted(other)).toEqual(granted(one));
      }),
    );
  });
});
