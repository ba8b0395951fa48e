import { keyText, orderedBy, unnest, type Taught } from './meaning.js';
import type { Running, Session } from './session.js';

const playerKey = (row: { game_id: unknown; player_id: unknown }): string =>
  keyText(row.game_id, row.player_id);

function* createAbsent(session: Session, values: readonly unknown[]): Running<object[]> {
  for (const row of orderedBy(unnest(values, 'game_id', 'player_id'), playerKey)) {
    yield* session.insert('player_progress', playerKey(row), {
      ...row,
      ...{ total_xp: 0, level: 1, definition_version: 0, revision: 0, updated_at_ms: 0 },
    });
  }
  return [];
}

function* lock(session: Session, values: readonly unknown[]): Running<object[]> {
  const players: object[] = [];
  for (const row of orderedBy(unnest(values, 'game_id', 'player_id'), playerKey)) {
    const found = yield* session.lock('player_progress', playerKey(row), 'update');
    if (found === null) continue;
    const { game_id, player_id, total_xp, level, definition_version, updated_at_ms } = found;
    players.push({
      ...{ gameId: game_id, playerId: player_id, totalXp: total_xp, level },
      ...{ definitionVersion: definition_version, updatedAtMs: updated_at_ms },
    });
  }
  return [{ players }];
}

const grantKey = (row: { game_id: unknown; player_id: unknown; grant_key: unknown }): string =>
  keyText(row.game_id, row.player_id, row.grant_key);

function* standingGrants(session: Session, values: readonly unknown[]): Running<object[]> {
  return unnest(values, 'game_id', 'player_id', 'grant_key').flatMap((row) =>
    session.get('receipts', grantKey(row)) === null
      ? []
      : [{ gameId: row.game_id, playerId: row.player_id, grantKey: row.grant_key }],
  );
}

const PLAYER_COLUMNS = [
  'game_id',
  'player_id',
  'total_xp',
  'level',
  'definition_version',
  'updated_at_ms',
] as const;

function* savePlayers(session: Session, values: readonly unknown[]): Running<object[]> {
  for (const row of unnest(values, ...PLAYER_COLUMNS)) {
    yield* session.update('player_progress', playerKey(row), (before) => ({
      ...before,
      ...row,
      revision: (before['revision'] as number) + 1,
    }));
  }
  return [];
}

const LEDGER_COLUMNS = [
  ...(['game_id', 'player_id', 'ts_ms', 'dedupe_day', 'identity', 'delta_xp', 'definition_version'] as const),
] as const;

function* saveLedger(session: Session, values: readonly unknown[]): Running<object[]> {
  for (const row of unnest(values, ...LEDGER_COLUMNS))
    yield* session.insertNew('progress_events', String(session.server.nextSerial()), row);
  return [];
}

const RECEIPT_COLUMNS = [
  ...(['game_id', 'player_id', 'ts_ms', 'grant_key', 'receipt_id', 'reward', 'amount', 'event_id'] as const),
  ...(['src', 'kid', 'jws', 'definition_version'] as const),
] as const;

function* saveReceipts(session: Session, values: readonly unknown[]): Running<object[]> {
  for (const row of unnest(values, ...RECEIPT_COLUMNS))
    yield* session.insertNew('receipts', grantKey(row), { ...row, cause: row.grant_key });
  return [];
}

export const progressionStatements: readonly Taught[] = [
  { name: 'pkg/progression/postgres.ts CREATE_ABSENT', fingerprint: 'd1ec1d821b5a', meaning: createAbsent },
  { name: 'pkg/progression/postgres.ts LOCK', fingerprint: '7d312c0a39d4', meaning: lock },
  {
    name: 'pkg/progression/postgres.ts STANDING_GRANTS',
    fingerprint: 'deff5c31cc24',
    meaning: standingGrants,
  },
  { name: 'pkg/progression/postgres.ts SAVE_PLAYERS', fingerprint: '6ff5d45394f7', meaning: savePlayers },
  { name: 'pkg/progression/postgres.ts SAVE_LEDGER', fingerprint: '374057d246a4', meaning: saveLedger },
  { name: 'pkg/progression/postgres.ts SAVE_RECEIPTS', fingerprint: '035b6e255a97', meaning: saveReceipts },
];
