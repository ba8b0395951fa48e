import { keyText, unnest, type Taught } from './meaning.js';
import type { Running, Session } from './session.js';
import type { Row } from './rows.js';

export const boardKey = (row: Row): string =>
  keyText(row['game_id'], row['board'], row['cycle'], row['partition']);
export const scoreKey = (row: Row): string => keyText(boardKey(row), row['subject']);

/** `SLICES` of pkg/leaderboard/slices.ts: cycles with the stretch of the subjects that is their own. */
export function slices(values: readonly unknown[]): { n: number; cycle: Row; subjects: readonly string[] }[] {
  const subjects = values[6] as readonly string[];
  return unnest(values, 'game_id', 'board', 'cycle', 'partition', 'first', 'last').map(
    ({ first, last, ...cycle }, i) => ({ n: i + 1, cycle, subjects: subjects.slice(first - 1, last) }),
  );
}

function* lockScores(session: Session, values: readonly unknown[]): Running<object[]> {
  const found: { n: number; row: Row; place: string }[] = [];
  for (const { n, cycle, subjects } of slices(values)) {
    for (const subject of [...subjects].sort()) {
      const key = scoreKey({ ...cycle, subject });
      const row = yield* session.lock('board_scores', key, 'update');
      if (row !== null) found.push({ n, row, place: session.table('board_scores').slotOf(key).place });
    }
  }
  if (found.length === 0) return [{ cycles: null }];
  const column = (name: string): unknown[] => found.map(({ row }) => row[name]);
  return [
    {
      ...{ cycles: found.map(({ n }) => n), subjects: column('subject'), scores: column('score') },
      ...{ reached_at: column('reached_at'), reached_ids: column('reached_id') },
      ...{ versions: column('definition_version'), revisions: column('revision') },
      places: found.map(({ place }) => place),
    },
  ];
}

const VALUE_COLUMNS = ['score', 'reached_at', 'reached_id', 'definition_version', 'revision'] as const;

function* updateLocked(session: Session, values: readonly unknown[]): Running<object[]> {
  let count = 0;
  for (const { place, ...row } of unnest(values, 'place', ...VALUE_COLUMNS)) {
    const slot = session.table('board_scores').at(place);
    if (slot === undefined) continue;
    const isBefore = (before: Row): boolean => before['revision'] === row.revision - 1;
    if (yield* session.update('board_scores', slot.key, (before) => ({ ...before, ...row }), isBefore))
      count += 1;
  }
  return [{ count }];
}

const KEY_COLUMNS = ['game_id', 'board', 'cycle', 'partition'] as const;

function* insertAbsent(session: Session, values: readonly unknown[]): Running<object[]> {
  const places: string[] = [];
  for (const row of unnest(values, ...KEY_COLUMNS, 'subject', ...VALUE_COLUMNS)) {
    const key = scoreKey(row);
    if (yield* session.insert('board_scores', key, row))
      places.push(session.table('board_scores').slotOf(key).place);
  }
  return [{ places }];
}

function* holdCyclesOpen(session: Session, values: readonly unknown[]): Running<object[]> {
  const held: object[] = [];
  for (const [i, row] of unnest(values, ...KEY_COLUMNS).entries()) {
    const cycle = yield* session.lock('board_cycles', boardKey(row), 'key share');
    if (cycle !== null)
      held.push({ n: i + 1, late: cycle['final_at'] !== null && cycle['revised'] === false });
  }
  return held;
}

function* createCycles(session: Session, values: readonly unknown[]): Running<object[]> {
  for (const { closes_at_ms, ...row } of unnest(
    values,
    ...KEY_COLUMNS,
    'closes_at_ms',
    'definition_version',
  )) {
    yield* session.insert('board_cycles', boardKey(row), {
      ...row,
      ...{ epoch: 1, closes_at: closes_at_ms, final_at: null, revised: false, updated_at: session.beganAtMs },
    });
  }
  return [];
}

function* markRevised(session: Session, values: readonly unknown[]): Running<object[]> {
  // The planner decides in which order an UPDATE ... FROM meets its rows.
  for (const row of session.server.world.chance.shuffled(unnest(values, ...KEY_COLUMNS)))
    yield* session.update('board_cycles', boardKey(row), (before) => ({ ...before, revised: true }));
  return [];
}

function* setHidden(session: Session, values: readonly unknown[]): Running<object[]> {
  const [game_id, player_id, hidden, changed_by, reason] = values;
  const change = { hidden, changed_by, reason, changed_at: session.beganAtMs };
  const row = { game_id, player_id, ...change, revision: 1 };
  const changed = yield* session.upsert('player_state', keyText(game_id, player_id), row, (before) =>
    before['hidden'] === hidden
      ? null
      : { ...before, ...change, revision: (before['revision'] as number) + 1 },
  );
  return changed === null ? [] : [{ revision: changed['revision'] }];
}

export const boardStatements: readonly Taught[] = [
  { name: 'pkg/leaderboard/postgres.ts LOCK_SCORES', fingerprint: '80ddabddb0e9', meaning: lockScores },
  { name: 'pkg/leaderboard/postgres.ts UPDATE_LOCKED', fingerprint: '8a8c951069cd', meaning: updateLocked },
  { name: 'pkg/leaderboard/postgres.ts INSERT_ABSENT', fingerprint: '110157c030ce', meaning: insertAbsent },
  {
    name: 'pkg/leaderboard/postgres.ts HOLD_CYCLES_OPEN',
    fingerprint: '5fd3aa96cd3a',
    meaning: holdCyclesOpen,
  },
  { name: 'pkg/leaderboard/postgres.ts CREATE_CYCLES', fingerprint: 'e81654ab6f00', meaning: createCycles },
  { name: 'pkg/leaderboard/postgres.ts MARK_REVISED', fingerprint: '194beee30089', meaning: markRevised },
  { name: 'pkg/leaderboard/hide.postgres.ts SET_HIDDEN', fingerprint: '506fed6f0879', meaning: setHidden },
];
