import { readEvent } from '../../../worker/read-event.js';
import { enterInbox } from '../../../worker/inbox/postgres.js';
import type { AdmittedEvent } from '../../../contract/event.js';
import type { BoardChanges } from '../../../leaderboard/fold.js';
import { OutageError, PoisonError } from '../../../kernel/errors.js';
import { laneOf } from '../../../kernel/lanes.js';
import { dead, ok } from '../../../kernel/outcome.js';
import type { ProgressionChanges } from '../../../progression/fold.js';
import type { Database, Sql } from '../../../postgres/port.js';
import type { Role, RoleEvent } from '../../../worker/port.js';
import { definitionOf } from '../game.js';
import type { Doubles } from '../doubles.js';
import { WRONG_RULE } from '../wrong-rule.js';
import { meaningNamed, withoutLocks, type Mutant } from './mutant.js';

const ENTER = 'pkg/worker/inbox/postgres.ts ENTER';
const PROGRESSION = 'pkg/progression/postgres.ts';

/** Changes what one role makes of events. */
const foldOf = (
  name: string,
  change: (changes: unknown, nowMs: number) => unknown,
): Required<Pick<Doubles, 'role'>>['role'] =>
  function <State, Changes>(role: Role<State, Changes>, clock: { now(): number }): Role<State, Changes> {
    if (role.name !== name) return role;
    return { ...role, fold: (state, events) => change(role.fold(state, events), clock.now()) as Changes };
  };

/** Shows one role other events than came. */
const seenBy = (
  name: string,
  see: (event: RoleEvent) => RoleEvent,
): Required<Pick<Doubles, 'role'>>['role'] =>
  function <State, Changes>(role: Role<State, Changes>): Role<State, Changes> {
    if (role.name !== name) return role;
    const seen = new Map<AdmittedEvent, RoleEvent>();
    const all = (events: readonly RoleEvent[]): RoleEvent[] =>
      events.map((one) => {
        const known = seen.get(one.event) ?? see(one);
        seen.set(one.event, known);
        return known;
      });
    return {
      ...role,
      load: (sql, events) => role.load(sql, all(events)),
      fold: (state, events) => role.fold(state, all(events)),
      ...(role.refresh === undefined ? {} : { refresh: async (events) => role.refresh?.(all(events)) }),
    };
  };

/** A wrong rule of progression that is never mended, and that goes by the content. */
function refusingHalf<State, Changes>(role: Role<State, Changes>): Role<State, Changes> {
  if (role.name !== 'progression') return role;
  return {
    ...role,
    fold: (state, events) => {
      if (events.some(({ event }) => event.contentHash < '8')) throw new PoisonError(WRONG_RULE, 'refused');
      return role.fold(state, events);
    },
  };
}

/** The inbox row in a transaction of its own, before the effects. */
const splitTransaction = (db: Database): Database => ({
  query: (text, values) => db.query(text, values),
  close: () => db.close(),
  transaction: (work, options) => {
    let isFirst = true;
    return db.transaction((sql) => {
      const split: Sql = {
        query: (text, values) => {
          if (!isFirst) return sql.query(text, values);
          isFirst = false;
          return db.query(text, values);
        },
      };
      return work(split);
    }, options);
  },
});

/** What a COMMIT came to is not known, and taken for good. */
const trustingCommit = (db: Database): Database => ({
  query: (text, values) => db.query(text, values),
  close: () => db.close(),
  transaction: async <T>(work: (sql: Sql) => Promise<T>) => {
    let done: { value: T } | null = null;
    try {
      return await db.transaction(async (sql) => {
        const value = await work(sql);
        done = { value };
        return value;
      });
    } catch (error) {
      if (done === null || !(error instanceof OutageError)) throw error;
      return (done as { value: T }).value;
    }
  },
});

/** Every game's rows of a player are one. */
const oneGame = (name: string): NonNullable<Doubles['statements']>[string] =>
  function* (session, values) {
    const games = values[0] as readonly string[];
    const rows = yield* meaningNamed(name)(session, [games.map(() => 'demo'), ...values.slice(1)]);
    const [answer] = rows as { players?: { playerId: string }[] }[];
    if (answer?.players === undefined) return rows;
    const byId = new Map(answer.players.map((player) => [player.playerId, player]));
    const ids = values[1] as readonly string[];
    return [{ players: games.map((gameId, i) => ({ ...byId.get(ids[i] ?? ''), gameId })) }];
  };

export const workerMutants: readonly Mutant[] = [
  {
    name: 'acknowledged before the commit',
    doubles: () => ({
      handler: (handler) => async (batch) => {
        handler(batch).catch(() => undefined);
        return batch.map(() => ok);
      },
    }),
  },
  {
    name: 'the inbox is not asked',
    doubles: () => ({
      statements: {
        [ENTER]: function* (session, values) {
          const [answer] = yield* meaningNamed(ENTER)(session, values);
          return [{ ...answer, standing: [] }];
        },
      },
    }),
  },
  {
    name: 'effects in another transaction than the inbox row',
    doubles: () => ({ database: splitTransaction }),
  },
  {
    name: 'a lost COMMIT is taken for done',
    doubles: () => ({ database: trustingCommit }),
  },
  {
    name: 'absolute save from an unlocked row',
    focus: ['db.slow', 'bus.lock-lost', 'db.pause-in-statement'],
    // Two transactions of one player, each with time to read before the other commits.
    needs: ({ workers, players }) => workers >= 2 && players <= 3,
    doubles: () => ({ statements: { [`${PROGRESSION} LOCK`]: withoutLocks(`${PROGRESSION} LOCK`) } }),
  },
  {
    name: 'an outage becomes a dead letter',
    doubles: () => ({
      handler: (handler) => (batch) =>
        handler(batch).catch((error: unknown) => batch.map(() => dead('handler_error', String(error)))),
    }),
  },
  {
    name: 'other content under a known id passes as a duplicate',
    focus: ['bus.publish-unknown', 'net.answer-lost', 'node.kill'],
    doubles: () => ({
      handler: (handler) => async (batch) =>
        (await handler(batch)).map((outcome) =>
          outcome.kind === 'dead' && outcome.reason === 'event_id_conflict' ? ok : outcome,
        ),
    }),
  },
  {
    name: 'where the first content of an id died the second counts',
    needs: ({ bus, hasWrongRule, sharedIds }) => hasWrongRule && bus !== 'sqs' && sharedIds > 0.1,
    doubles: () => ({
      role: refusingHalf,
      statements: {
        [ENTER]: (session, values) => {
          const blind = Object.create(session) as typeof session;
          blind.rows = (table, fits) => (table === 'dead_letters' ? [] : session.rows(table, fits));
          blind.insert = (table, key, row) => session.insert(table, key, row);
          return meaningNamed(ENTER)(blind, values);
        },
      },
    }),
  },
  {
    name: 'a dead letter also enters the inbox',
    doubles: () => ({
      letters: (letters, db) => ({
        ...letters,
        put: async (role, delivery, reason, detail) => {
          await letters.put(role, delivery, reason, detail);
          const event = readable(delivery.body);
          if (event === null) return;
          await enterInbox(db, role, [{ ...event, lane: laneOf(event.gameId, event.playerId) }]);
        },
      }),
    }),
  },
  {
    name: 'a grant is keyed by its event',
    doubles: () => ({
      role: foldOf('progression', (changes) => {
        const { grants, ...others } = changes as ProgressionChanges;
        return {
          ...others,
          grants: grants.map((one) => ({ ...one, grantKey: `${one.grantKey}:${one.event.id}` })),
        };
      }),
    }),
  },
  {
    name: 'grants that stand are not looked for',
    doubles: () => ({
      statements: {
        [`${PROGRESSION} STANDING_GRANTS`]: function* () {
          return [];
        },
      },
    }),
  },
  {
    name: 'the version in force counts, not the one of the event',
    doubles: () => ({
      role: seenBy('progression', ({ event }) => ({
        event: { ...event, definitionVersion: 2 },
        definition: definitionOf(event.gameId, 2),
      })),
    }),
  },
  {
    name: 'the game is left out of a key',
    doubles: () => ({
      statements: Object.fromEntries(
        ['CREATE_ABSENT', 'LOCK', 'SAVE_PLAYERS']
          .map((constant) => `${PROGRESSION} ${constant}`)
          .map((name) => [name, oneGame(name)]),
      ),
    }),
  },
  {
    name: 'reached_at is when it was applied',
    doubles: () => ({
      role: foldOf('leaderboard', (changes, nowMs) => {
        const { scores, cycles } = changes as BoardChanges;
        return { cycles, scores: scores.map((one) => ({ ...one, row: { ...one.row, reachedAtMs: nowMs } })) };
      }),
    }),
  },
  {
    name: 'a late event counts in the cycle in which it came',
    doubles: () => ({
      role: seenBy('leaderboard', ({ event, definition }) => ({
        event: { ...event, tsMs: event.receivedAtMs },
        definition,
      })),
    }),
  },
];

function readable(body: string): AdmittedEvent | null {
  try {
    return readEvent(body);
  } catch (error) {
    if (error instanceof PoisonError) return null;
    throw error;
  }
}
