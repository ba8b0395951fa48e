import { boardKey, scoreKey } from './board-statements.js';
import { keyText, type Taught } from './meaning.js';
import type { Row } from './rows.js';
import type { Running, Session } from './session.js';

function* now(session: Session): Running<object[]> {
  return [{ now: session.server.nowMs() }];
}

/** (closes_at, game_id, board, cycle, partition) as one text in its order. */
const dueKey = (row: Row): string => keyText(String(row['closes_at']).padStart(16, '0'), boardKey(row));

function* due(session: Session, values: readonly unknown[]): Running<object[]> {
  const [nowMs, closes_at, game_id, board, cycle, partition, limit] = values;
  const after = dueKey({ closes_at, game_id, board, cycle, partition });
  return session
    .rows(
      'board_cycles',
      (row) =>
        row['final_at'] === null &&
        row['closes_at'] !== null &&
        (row['closes_at'] as number) <= (nowMs as number) &&
        dueKey(row) > after,
    )
    .map(({ row }) => ({ ...row, closes_at: new Date(row['closes_at'] as number), dueKey: dueKey(row) }))
    .sort((a, b) => (a.dueKey < b.dueKey ? -1 : 1))
    .slice(0, limit as number);
}

const isOpenUntil =
  (closesAt: unknown) =>
  (row: Row): boolean =>
    row['final_at'] === null && row['closes_at'] === closesAt;

const keyOf = ([game_id, board, cycle, partition]: readonly unknown[]): string =>
  boardKey({ game_id, board, cycle, partition });

function* lock(session: Session, values: readonly unknown[]): Running<object[]> {
  const row = yield* session.lock('board_cycles', keyOf(values), 'update', isOpenUntil(values[4]));
  return row === null ? [] : [{ '?column?': 1 }];
}

function* moveEnd(session: Session, values: readonly unknown[]): Running<object[]> {
  const move = (row: Row): Row => ({ ...row, closes_at: values[5] });
  yield* session.update('board_cycles', keyOf(values), move, isOpenUntil(values[4]));
  return [];
}

/** By score, then the time reached, then the subject's bytes. */
const inOrder =
  (sign: 1 | -1) =>
  (a: Row, b: Row): number =>
    sign * ((a['score'] as number) - (b['score'] as number)) ||
    (a['reached_at'] as number) - (b['reached_at'] as number) ||
    Buffer.compare(Buffer.from(a['subject'] as string), Buffer.from(b['subject'] as string));

const copy = (sign: 1 | -1) =>
  function* (session: Session, values: readonly unknown[]): Running<object[]> {
    const key = keyOf(values);
    const rows = session.rows('board_scores', (score) => boardKey(score) === key).map(({ row }) => row);
    for (const [index, row] of rows.sort(inOrder(sign)).entries()) {
      const { game_id, board, cycle, partition, subject, score, reached_at } = row;
      const copied = { game_id, board, cycle, partition, subject, score, reached_at, place: index + 1 };
      yield* session.insertNew('leaderboard_snapshots', scoreKey(copied), copied);
    }
    return [];
  };

function* markFinal(session: Session, values: readonly unknown[]): Running<object[]> {
  yield* session.update('board_cycles', keyOf(values), (row) => ({ ...row, final_at: values[4] }));
  return [];
}

export const snapshotStatements: readonly Taught[] = [
  { name: 'pkg/leaderboard/snapshots.postgres.ts NOW', fingerprint: '92c41a675cb5', meaning: now },
  { name: 'pkg/leaderboard/snapshots.postgres.ts DUE', fingerprint: '2dc65d7cf1d4', meaning: due },
  { name: 'pkg/leaderboard/snapshots.postgres.ts LOCK', fingerprint: '3130a4df59ca', meaning: lock },
  { name: 'pkg/leaderboard/snapshots.postgres.ts MOVE_END', fingerprint: '61a36beb305f', meaning: moveEnd },
  { name: 'pkg/leaderboard/snapshots.postgres.ts COPY asc', fingerprint: '99e6b28ecfef', meaning: copy(1) },
  { name: 'pkg/leaderboard/snapshots.postgres.ts COPY desc', fingerprint: 'eb1d4777938e', meaning: copy(-1) },
  {
    name: 'pkg/leaderboard/snapshots.postgres.ts MARK_FINAL',
    fingerprint: 'd29b6f89e2ad',
    meaning: markFinal,
  },
];
