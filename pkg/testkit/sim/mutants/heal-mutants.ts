import type { Rederivation } from '../../../worker/port.js';
import type { Doubles } from '../doubles.js';
import type { FaultKind, Swarm } from '../swarm.js';
import { keyText } from '../store/meaning.js';
import type { Row } from '../store/rows.js';
import { meaningNamed, type Mutant } from './mutant.js';

const FOLLOWED = 'pkg/worker/rederive/followed.postgres.ts';
const REDERIVE = 'pkg/worker/rederive/postgres.ts';
const EVENTS = 'pkg/audit/events.postgres.ts';
const SETTLE_CYCLES = 'pkg/leaderboard/rederive.postgres.ts SETTLE_CYCLES';

type Statements = NonNullable<Doubles['statements']>;

const heals = ({ healSeconds }: Swarm): boolean => healSeconds !== null;
/** An archive that is behind the roles, and transactions that take their time. */
const UNEVEN: readonly FaultKind[] = ['db.slow', 'bus.delay', 'db.pause-in-statement', 'bus.lock-lost'];

/** The same statement, whose answers are told otherwise. */
const telling = (name: string, tell: (row: Row) => Row): Statements => ({
  [name]: function* (session, values) {
    return ((yield* meaningNamed(name)(session, values)) as Row[]).map(tell);
  },
});

const LATER_MS = 3_000;
const RECOUNTED = ['progression', 'leaderboard', 'fairness'] as const;

/** What is archived is taken for settled, whether a role has met it or not. */
const settledEverywhere = (row: Row): Row => ({
  ...row,
  settled: { ...Object.fromEntries(RECOUNTED.map((role) => [role, 1])), ...(row['settled'] as object) },
});

/** The rows are locked, and let go at once. */
function lockedElsewhere<State>(
  rederivation: Rederivation<State>,
  db: Parameters<NonNullable<Doubles['rederivation']>>[1],
): Rederivation<State> {
  if (rederivation.role !== 'progression') return rederivation;
  return {
    ...rederivation,
    lock: (_sql, player, events) => db.transaction((other) => rederivation.lock(other, player, events)),
  };
}

/** Bugs of what makes the truth again. */
export const healMutants: readonly Mutant[] = [
  {
    name: 'players are made again from rows that nobody holds',
    needs: (swarm) => heals(swarm) && swarm.players <= 3,
    focus: [...UNEVEN, 'truth.damaged'],
    doubles: () => ({ rederivation: lockedElsewhere }),
  },
  {
    name: 'the horizon of healing is read when the events have been',
    needs: heals,
    focus: UNEVEN,
    doubles: () => ({
      statements: telling(`${FOLLOWED} HORIZON`, ({ ms }) => ({ ms: (ms as number) + LATER_MS })),
    }),
  },
  {
    name: 'healing does not wait for an archive that is behind',
    needs: heals,
    focus: UNEVEN,
    doubles: () => ({
      statements: {
        [`${REDERIVE} STILL_STRANGE`]: function* () {
          return [];
        },
      },
    }),
  },
  {
    name: 'what the archive lacks is followed and not kept',
    needs: heals,
    focus: UNEVEN,
    doubles: () => ({
      statements: {
        [`${FOLLOWED} FOLLOW`]: function* (session, [role, , through]) {
          const moved = { role, through };
          yield* session.upsert('archive_followed', role as string, moved, () => moved);
          return [{ found: 0 }];
        },
      },
    }),
  },
  {
    name: 'healing counts what only the archive has',
    needs: heals,
    focus: UNEVEN,
    doubles: () => ({
      statements: {
        ...telling(`${REDERIVE} SETTLED`, (row) => ({ ...row, enteredUnder: row['enteredUnder'] ?? 1 })),
        ...telling(`${EVENTS} EVENTS`, settledEverywhere),
        ...telling(`${EVENTS} EVENTS_OF_ONE`, settledEverywhere),
      },
    }),
  },
  {
    name: 'no final ranking is told of a score that was made again',
    needs: heals,
    focus: ['truth.damaged'],
    doubles: () => ({
      statements: {
        [SETTLE_CYCLES]: function* () {
          return [];
        },
      },
    }),
  },
  {
    name: 'a player whose scores are made again is shown again',
    needs: (swarm) => heals(swarm) && swarm.hasView && swarm.players <= 3,
    focus: ['truth.damaged'],
    doubles: () => ({
      statements: {
        [SETTLE_CYCLES]: function* (session, values) {
          const [games, , , , , subject] = values as [readonly string[], ...unknown[]];
          for (const gameId of games) yield* session.remove('player_state', keyText(gameId, subject));
          return yield* meaningNamed(SETTLE_CYCLES)(session, values);
        },
      },
    }),
  },
  {
    name: 'boards of guilds are judged by what was settled before the run',
    needs: (swarm) => heals(swarm) && swarm.hasRebuild,
    doubles: () => ({
      statements: {
        ...telling(`${FOLLOWED} HORIZON`, ({ ms }) => ({ ms: (ms as number) - LATER_MS })),
        'pkg/worker/rederive/shared.postgres.ts ENTERED': function* () {
          return [];
        },
      },
    }),
  },
];
