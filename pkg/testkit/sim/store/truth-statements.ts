import { boardKey, scoreKey, slices } from './board-statements.js';
import { byText, keyText, orderedBy, unnest, type Taught } from './meaning.js';
import type { Row } from './rows.js';
import type { Running, Session } from './session.js';

const KEY_COLUMNS = ['game_id', 'board', 'cycle', 'partition'] as const;

const isOpen = (cycle: Row): boolean => cycle['final_at'] === null;
const dateOf = (ms: unknown): Date | null => (ms === null ? null : new Date(ms as number));

function* rows(session: Session, values: readonly unknown[]): Running<object[]> {
  const scores: unknown[] = [];
  const cycles: unknown[] = [];
  for (const { n, cycle, subjects } of slices(values)) {
    for (const subject of subjects) {
      const row = session.get('board_scores', scoreKey({ ...cycle, subject }));
      if (row !== null) scores.push([n, subject, row['score'], row['reached_at'], row['revision']]);
    }
    const row = session.get('board_cycles', boardKey(cycle));
    if (row !== null && isOpen(row))
      cycles.push([n, row['epoch'], row['definition_version'], row['closes_at']]);
  }
  const states: unknown[] = [];
  for (const gameId of new Set(values[0] as readonly string[])) {
    for (const playerId of new Set(values[7] as readonly string[])) {
      const row = session.get('player_state', keyText(gameId, playerId));
      if (row !== null) states.push([gameId, playerId, row['revision'], row['hidden']]);
    }
  }
  return [{ scores, states, cycles }];
}

const cycleColumns = ({
  game_id,
  board,
  cycle,
  partition,
  epoch,
  closes_at,
  definition_version,
}: Row): Row => ({
  ...{ game_id, board, cycle, partition, epoch, definition_version },
  closes_at: dateOf(closes_at),
});

/** TRUTH_COLUMNS: the revision counts the changes of the score and those of the player's state. */
const truthColumns = (score: Row, state: Row | null): Row => ({
  ...{ subject: score['subject'], score: score['score'], reached_at: score['reached_at'] },
  revision: (score['revision'] as number) + ((state?.['revision'] as number | undefined) ?? 0),
  hidden: state?.['hidden'] ?? false,
});

function* rowsOfPlayer(session: Session, [gameId, subject]: readonly unknown[]): Running<object[]> {
  const state = session.get('player_state', keyText(gameId, subject));
  return session
    .rows('board_scores', (row) => row['game_id'] === gameId && row['subject'] === subject)
    .flatMap(({ row }) => {
      const cycle = session.get('board_cycles', boardKey(row));
      return cycle === null || !isOpen(cycle)
        ? []
        : [{ ...cycleColumns(cycle), ...truthColumns(row, state) }];
    });
}

function* page(session: Session, values: readonly unknown[]): Running<object[]> {
  const [game_id, board, cycle, partition, ranksPlayers, after, limit] = values;
  const key = boardKey({ game_id, board, cycle, partition });
  const found = session.rows(
    'board_scores',
    (row) => boardKey(row) === key && (row['subject'] as string) > (after as string),
  );
  return orderedBy(found, ({ row }) => row['subject'] as string)
    .slice(0, limit as number)
    .map(({ row }) =>
      truthColumns(
        row,
        ranksPlayers === true ? session.get('player_state', keyText(game_id, row['subject'])) : null,
      ),
    );
}

function* raiseForBuild(session: Session, values: readonly unknown[]): Running<object[]> {
  const [game_id, board, cycle, partition, seen] = values;
  const isSeen = (row: Row): boolean => row['epoch'] === seen && isOpen(row);
  let epoch = 0;
  const raise = (row: Row): Row => {
    const before = row['epoch'] as number;
    epoch = before + 2 - (before % 2);
    return { ...row, epoch };
  };
  const isRaised = yield* session.update(
    'board_cycles',
    boardKey({ game_id, board, cycle, partition }),
    raise,
    isSeen,
  );
  return isRaised ? [{ epoch }] : [];
}

function* isStillOpen(session: Session, values: readonly unknown[]): Running<object[]> {
  const [game_id, board, cycle, partition] = values;
  const row = session.get('board_cycles', boardKey({ game_id, board, cycle, partition }));
  return [{ isOpen: row !== null && isOpen(row) }];
}

function* voidCycles(session: Session, values: readonly unknown[]): Running<object[]> {
  const isEven = (row: Row): boolean => (row['epoch'] as number) % 2 === 0;
  const raise = (row: Row): Row => ({ ...row, epoch: (row['epoch'] as number) + 1 });
  for (const row of orderedBy(unnest(values, ...KEY_COLUMNS), boardKey))
    yield* session.update('board_cycles', boardKey(row), raise, isEven);
  return [];
}

function* touch(session: Session, values: readonly unknown[]): Running<object[]> {
  const set = (row: Row): Row => ({ ...row, updated_at: session.beganAtMs });
  for (const row of orderedBy(unnest(values, ...KEY_COLUMNS), boardKey))
    yield* session.update('board_cycles', boardKey(row), set);
  return [];
}

function* openCycles(session: Session, values: readonly unknown[]): Running<object[]> {
  const [game_id, board, cycle, partition, gameScope, boardScope, limit] = values;
  const after = boardKey({ game_id, board, cycle, partition });
  const found = session.rows(
    'board_cycles',
    (row) =>
      isOpen(row) &&
      (gameScope === null || row['game_id'] === gameScope) &&
      (boardScope === null || row['board'] === boardScope),
  );
  const later = found.filter(({ key }) => byText(key, after) > 0);
  return orderedBy(later, ({ key }) => key)
    .slice(0, limit as number)
    .map(({ row }) => cycleColumns(row));
}

function* changedPlayers(session: Session, [seconds, limit]: readonly unknown[]): Running<object[]> {
  const since = session.beganAtMs - (seconds as number) * 1000;
  const found = session.rows('player_state', (row) => (row['changed_at'] as number) > since);
  return found
    .sort((a, b) => (b.row['changed_at'] as number) - (a.row['changed_at'] as number))
    .slice(0, limit as number)
    .map(({ row }) => ({ game_id: row['game_id'], player_id: row['player_id'] }));
}

export const truthStatements: readonly Taught[] = [
  { name: 'pkg/leaderboard/truth.postgres.ts ROWS', fingerprint: '92bfbc13ce1d', meaning: rows },
  {
    name: 'pkg/leaderboard/truth.postgres.ts ROWS_OF_PLAYER',
    fingerprint: '136dbaed0512',
    meaning: rowsOfPlayer,
  },
  { name: 'pkg/leaderboard/truth.postgres.ts PAGE', fingerprint: '3d9ce767fdd6', meaning: page },
  {
    name: 'pkg/leaderboard/truth.postgres.ts RAISE_FOR_BUILD',
    fingerprint: 'ea85ae13c642',
    meaning: raiseForBuild,
  },
  { name: 'pkg/leaderboard/truth.postgres.ts IS_OPEN', fingerprint: '2f79496b3405', meaning: isStillOpen },
  { name: 'pkg/leaderboard/truth.postgres.ts VOID', fingerprint: '7b009a4b2930', meaning: voidCycles },
  { name: 'pkg/leaderboard/truth.postgres.ts TOUCH', fingerprint: '29c82e750177', meaning: touch },
  { name: 'pkg/leaderboard/truth.postgres.ts OPEN_CYCLES', fingerprint: 'f53d2f298b76', meaning: openCycles },
  {
    name: 'pkg/leaderboard/truth.postgres.ts CHANGED_PLAYERS',
    fingerprint: 'af6dd2451aee',
    meaning: changedPlayers,
  },
];
