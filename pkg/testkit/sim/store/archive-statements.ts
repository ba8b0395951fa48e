import { keyText, orderedBy, unnest, type Taught } from './meaning.js';
import type { Running, Session } from './session.js';

const playerKey = (row: { game_id: unknown; player_id: unknown }): string =>
  keyText(row.game_id, row.player_id);

function* createAbsent(session: Session, values: readonly unknown[]): Running<object[]> {
  for (const row of orderedBy(unnest(values, 'game_id', 'player_id'), playerKey)) {
    yield* session.insert('player_profiles', playerKey(row), {
      ...row,
      ...{ first_seen_ms: 0, last_seen_ms: 0, events: 0 },
    });
  }
  return [];
}

function* lock(session: Session, values: readonly unknown[]): Running<object[]> {
  const players: object[] = [];
  for (const row of orderedBy(unnest(values, 'game_id', 'player_id'), playerKey)) {
    const found = yield* session.lock('player_profiles', playerKey(row), 'update');
    if (found === null) continue;
    const { game_id, player_id, first_seen_ms, last_seen_ms, events } = found;
    players.push({
      gameId: game_id,
      playerId: player_id,
      firstSeenMs: first_seen_ms,
      lastSeenMs: last_seen_ms,
      events,
    });
  }
  return [{ players }];
}

const EVENT_COLUMNS = [
  ...([
    'game_id',
    'player_id',
    'dedupe_day',
    'identity',
    'event_id',
    'type',
    'ts_ms',
    'received_at_ms',
  ] as const),
  ...([
    'src',
    'key_id',
    'definition_version',
    'schema_version',
    'content_hash',
    'payload',
    'context',
  ] as const),
] as const;

function* insertEvents(session: Session, values: readonly unknown[]): Running<object[]> {
  for (const row of unnest(values, ...EVENT_COLUMNS))
    yield* session.insertNew('events', String(session.server.nextSerial()), {
      ...row,
      archived_at: session.beganAtMs,
    });
  return [];
}

function* saveProfiles(session: Session, values: readonly unknown[]): Running<object[]> {
  for (const row of unnest(values, 'game_id', 'player_id', 'first_seen_ms', 'last_seen_ms', 'events'))
    yield* session.update('player_profiles', playerKey(row), (before) => ({ ...before, ...row }));
  return [];
}

export const archiveStatements: readonly Taught[] = [
  { name: 'pkg/archive/postgres.ts CREATE_ABSENT', fingerprint: '26fcc83ead4a', meaning: createAbsent },
  { name: 'pkg/archive/postgres.ts LOCK', fingerprint: 'a49c523b9569', meaning: lock },
  { name: 'pkg/archive/postgres.ts INSERT_EVENTS', fingerprint: '54952e332b64', meaning: insertEvents },
  { name: 'pkg/archive/postgres.ts SAVE_PROFILES', fingerprint: '251f68ca33fb', meaning: saveProfiles },
];
