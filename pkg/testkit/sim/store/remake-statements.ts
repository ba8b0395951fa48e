import { boardKey, scoreKey } from './board-statements.js';
import { byText, keyText, orderedBy, unnest, type Taught } from './meaning.js';
import type { Row } from './rows.js';
import type { Running, Session } from './session.js';

/** What progression and leaderboard lend to the making anew of their effects. */

const scoreColumns = ({ game_id, board, cycle, partition, subject }: Row): Row => ({
  ...{ gameId: game_id, board, cycle, partition, subject },
});

function* keysOfSubject(session: Session, [gameId, subject]: readonly unknown[]): Running<object[]> {
  return session
    .rows('board_scores', (row) => row['game_id'] === gameId && row['subject'] === subject && subject !== '')
    .map(({ row }) => scoreColumns(row));
}

const KEY_COLUMNS = ['game_id', 'board', 'cycle', 'partition'] as const;
const EMPTY_SCORE = { score: 0, reached_at: 0, reached_id: '', definition_version: 0, revision: 0 };

function* makeRoom(session: Session, values: readonly unknown[]): Running<object[]> {
  for (const row of unnest(values, ...KEY_COLUMNS, 'subject'))
    yield* session.insert('board_scores', scoreKey(row), { ...row, ...EMPTY_SCORE });
  return [];
}

/** DELETE ... WHERE ctid = ANY. */
const removeFrom = (table: string) =>
  function* (session: Session, [places]: readonly unknown[]): Running<object[]> {
    for (const place of places as readonly string[]) {
      const slot = session.table(table).at(place);
      if (slot !== undefined) yield* session.remove(table, slot.key);
    }
    return [];
  };

/** Whether the score of a subject is not what the final ranking says. */
function differsFromFinal(session: Session, key: string): boolean {
  const score = session.get('board_scores', key);
  const final = session.get('leaderboard_snapshots', key);
  if (score === null || final === null) return score !== final;
  return score['score'] !== final['score'] || score['reached_at'] !== final['reached_at'];
}

function* settleCycles(session: Session, values: readonly unknown[]): Running<object[]> {
  const subject = values[5];
  for (const { anew, ...cycle } of orderedBy(unnest(values, ...KEY_COLUMNS, 'anew'), boardKey)) {
    yield* session.update('board_cycles', boardKey(cycle), (row) => {
      const isFinal = row['final_at'] !== null;
      const epoch = row['epoch'] as number;
      const differs = isFinal && differsFromFinal(session, scoreKey({ ...cycle, subject }));
      return {
        ...row,
        updated_at: session.beganAtMs,
        revised: row['revised'] === true || differs,
        epoch: anew && !isFinal && epoch % 2 === 0 ? epoch + 1 : epoch,
      };
    });
  }
  return [];
}

function* versionsOf(session: Session, [gameId]: readonly unknown[]): Running<object[]> {
  return session
    .rows('game_definitions', (row) => row['game_id'] === gameId)
    .map(({ row }) => ({ version: row['version'] }));
}

function* scoresAfter(session: Session, values: readonly unknown[]): Running<object[]> {
  const [game_id, boards, board, cycle, partition, subject, limit] = values;
  const wanted = new Set(boards as readonly unknown[]);
  const after = scoreKey({ game_id, board, cycle, partition, subject });
  const found = session.rows('board_scores', (row) => row['game_id'] === game_id && wanted.has(row['board']));
  return orderedBy(
    found.filter(({ key }) => byText(key, after) > 0),
    ({ key }) => key,
  )
    .slice(0, limit as number)
    .map(({ row }) => ({
      ...scoreColumns(row),
      ...{ score: row['score'], reachedAtMs: row['reached_at'], reachedId: row['reached_id'] },
      definitionVersion: row['definition_version'],
    }));
}

const isOfPlayer =
  ([gameId, playerId]: readonly unknown[]) =>
  (row: Row): boolean =>
    row['game_id'] === gameId && row['player_id'] === playerId;

function* ledgerOf(session: Session, values: readonly unknown[]): Running<object[]> {
  return session.rows('progress_events', isOfPlayer(values)).map(({ key, row }) => ({
    ...{ place: session.table('progress_events').slotOf(key).place, identity: row['identity'] },
    ...{ dedupeDay: row['dedupe_day'], tsMs: row['ts_ms'], deltaXp: row['delta_xp'] },
    definitionVersion: row['definition_version'],
  }));
}

function* grantsOf(session: Session, values: readonly unknown[]): Running<object[]> {
  return session
    .rows('receipts', isOfPlayer(values))
    .map(({ row }) => ({ grantKey: row['grant_key'], receiptId: row['receipt_id'] }));
}

function* removePlayer(session: Session, [gameId, playerId]: readonly unknown[]): Running<object[]> {
  yield* session.remove('player_progress', keyText(gameId, playerId));
  return [];
}

const SCORES = 'pkg/leaderboard/rederive.postgres.ts';
const PROGRESS = 'pkg/progression/rederive.postgres.ts';

export const remakeStatements: readonly Taught[] = [
  { name: `${SCORES} KEYS_OF_SUBJECT`, fingerprint: '4928a3c741e9', meaning: keysOfSubject },
  { name: `${SCORES} MAKE_ROOM`, fingerprint: 'c2c8c5cf7371', meaning: makeRoom },
  { name: `${SCORES} REMOVE`, fingerprint: '4f55f909f86f', meaning: removeFrom('board_scores') },
  { name: `${SCORES} SETTLE_CYCLES`, fingerprint: 'f73819837278', meaning: settleCycles },
  { name: `${SCORES} versionsOf`, fingerprint: '3e573f802a95', meaning: versionsOf },
  { name: `${SCORES} SCORES_AFTER`, fingerprint: '0f0a941cf568', meaning: scoresAfter },
  { name: `${PROGRESS} LEDGER`, fingerprint: '273d83a14580', meaning: ledgerOf },
  { name: `${PROGRESS} removeLedger`, fingerprint: '6d23a3553867', meaning: removeFrom('progress_events') },
  { name: `${PROGRESS} GRANTS`, fingerprint: '0bdad376fd09', meaning: grantsOf },
  { name: `${PROGRESS} removePlayer`, fingerprint: '692318b068b5', meaning: removePlayer },
];
