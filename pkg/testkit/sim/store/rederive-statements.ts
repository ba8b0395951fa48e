import { byText, keyText, orderedBy, unnest, type Taught } from './meaning.js';
import { archivedColumns } from './reconcile-statements.js';
import type { Row } from './rows.js';
import type { Running, Session } from './session.js';
import { inboxKey } from './worker-statements.js';

/** What makes the truth again (pkg/worker/rederive, pkg/heal); what the roles lend to it stands in remake-statements.ts. */

/** Whether the archive has a content. */
const isArchived = (session: Session, { dedupe_day, identity, content_hash }: Row): boolean => {
  const row = session.get('inbox', inboxKey('archive', dedupe_day, identity));
  return row?.['content_hash'] === content_hash && (row?.['definition_version'] as number) > 0;
};

const isEffective = (entered: Row): boolean => (entered['definition_version'] as number) > 0;

/** Rows of a role's inbox that took effect after one instant and up to another. */
const settledIn = (session: Session, role: unknown, fromMs: unknown, toMs: unknown): Row[] =>
  session
    .rows('inbox', (row) => {
      if (row['role'] !== role || !isEffective(row)) return false;
      const settledAt = row['settled_at'] as number;
      return settledAt > (fromMs as number) && (toMs === null || settledAt <= (toMs as number));
    })
    .map(({ row }) => row);

const stranger = ({ dedupe_day, identity, content_hash, lane }: Row): Row => ({
  ...{ dedupeDay: dedupe_day, identity, contentHash: content_hash, lane },
});

/**
 * What began before this is seen by every later statement, or was rolled back. Times are whole milliseconds here, so what begins in
 * the same one may be on either side. The ten minutes and the half minute of production are for backups and for servers that
 * tell late: nothing here lasts so long, or does so, and what is closer finds more.
 */
function* horizon(session: Session): Running<object[]> {
  return [{ ms: session.server.oldestBeganAtMs() - 1 }];
}

function* holdFollower(session: Session, [role]: readonly unknown[]): Running<object[]> {
  return [{ held: session.tryAdvisory(keyText('fairtally.follow', role)) }];
}

function* through(session: Session, [role]: readonly unknown[]): Running<object[]> {
  const row = session.get('archive_followed', role as string);
  if (row !== null) return [{ ms: row['through'] }];
  const games = session.rows('games').map((game) => game.row['created_at'] as number);
  return [{ ms: games.length === 0 ? 0 : Math.min(...games) }];
}

function* follow(session: Session, [role, fromMs, toMs, limit]: readonly unknown[]): Running<object[]> {
  const max = limit as number;
  const found = settledIn(session, role, fromMs, toMs)
    .filter((row) => !isArchived(session, row))
    .slice(0, max + 1);
  if (found.length > max) return [{ found: found.length }];
  for (const { dedupe_day, identity, game_id, lane, content_hash } of found) {
    const kept = { role, dedupe_day, identity, game_id, lane, content_hash };
    yield* session.insert('unarchived', inboxKey(role, dedupe_day, identity), kept);
  }
  const moved = { role, through: toMs };
  yield* session.upsert('archive_followed', role as string, moved, () => moved);
  return [{ found: found.length }];
}

function* forgetArchived(session: Session, [role]: readonly unknown[]): Running<object[]> {
  const fits = (row: Row): boolean => row['role'] === role && isArchived(session, row);
  for (const { key } of session.rows('unarchived', fits)) yield* session.remove('unarchived', key);
  return [];
}

function* countUnarchived(session: Session, [role]: readonly unknown[]): Running<object[]> {
  return [{ count: session.rows('unarchived', (row) => row['role'] === role).length }];
}

function* kept(session: Session, [role, gameId, limit]: readonly unknown[]): Running<object[]> {
  return session
    .rows('unarchived', (row) => row['role'] === role && row['game_id'] === gameId)
    .filter(({ row }) => !isArchived(session, row))
    .slice(0, limit as number)
    .map(({ row }) => stranger(row));
}

function* strangers(session: Session, values: readonly unknown[]): Running<object[]> {
  const [role, gameId, lanes, sinceMs, limit] = values;
  const wanted = new Set(lanes as readonly unknown[]);
  return settledIn(session, role, sinceMs, null)
    .filter((row) => row['game_id'] === gameId && wanted.has(row['lane']) && !isArchived(session, row))
    .slice(0, limit as number)
    .map(stranger);
}

/** An event of the archive, and how it stands in the inbox of a role: the columns of SETTLED. */
function settledColumns(session: Session, role: unknown, event: Row): Row {
  const { game_id, dedupe_day, identity, content_hash } = event;
  const entered = session.get('inbox', inboxKey(role, dedupe_day, identity));
  const floor = session.get('games', game_id as string)?.['dedupe_floor'] as string;
  return {
    ...archivedColumns(event),
    enteredUnder: entered?.['definition_version'] ?? null,
    isSameContent: entered === null || entered['content_hash'] === content_hash,
    isBelowFloor: (dedupe_day as string) < floor,
  };
}

function* settled(session: Session, [role, gameId, playerId, limit]: readonly unknown[]): Running<object[]> {
  return session
    .rows('events', (row) => row['game_id'] === gameId && row['player_id'] === playerId)
    .slice(0, limit as number)
    .map(({ row }) => settledColumns(session, role, row));
}

function* stillStrange(session: Session, values: readonly unknown[]): Running<object[]> {
  const [gameId, playerId] = values.slice(3);
  const given: Row[] = unnest(values, 'dedupe_day', 'identity', 'content_hash');
  return given
    .filter((row) => !isArchived(session, row))
    .map(({ dedupe_day, identity, content_hash }) => {
      const content = keyText('archive', dedupe_day, identity, content_hash);
      const letter = session.get('dead_letters', content);
      const pending = session.get('resubmissions_once', content);
      const sent = pending === null ? null : session.get('resubmissions', String(pending['id']));
      const other = session.get('inbox', inboxKey('archive', dedupe_day, identity));
      return {
        identity,
        letterOf: letter === null || letter['state'] === 'applied' ? null : letter['player_id'],
        resubmissionOf: sent?.['player_id'] ?? null,
        isOtherContent: other !== null && isEffective(other),
        isPlayers: session.some(
          'events',
          (row) =>
            row['game_id'] === gameId &&
            row['player_id'] === playerId &&
            row['dedupe_day'] === dedupe_day &&
            row['identity'] === identity,
        ),
      };
    });
}

function* holdArchive(session: Session, [gameId, playerId]: readonly unknown[]): Running<object[]> {
  const row = yield* session.lock('player_profiles', keyText(gameId, playerId), 'share');
  return row === null ? [] : [{ '?column?': 1 }];
}

function* holdProfile(session: Session, [gameId, playerId]: readonly unknown[]): Running<object[]> {
  const row = yield* session.lock('player_profiles', keyText(gameId, playerId), 'no key update');
  return row === null ? [] : [{ events: row['events'] }];
}

function* makeProfile(session: Session, values: readonly unknown[]): Running<object[]> {
  const [game_id, player_id, isArchiveWhole] = values;
  const times = session
    .rows('events', (row) => row['game_id'] === game_id && row['player_id'] === player_id)
    .map(({ row }) => row['ts_ms'] as number);
  if (times.length === 0) return [];
  const made = {
    ...{ game_id, player_id, events: times.length },
    ...{ first_seen_ms: Math.min(...times), last_seen_ms: Math.max(...times) },
  };
  const changed = yield* session.upsert('player_profiles', keyText(game_id, player_id), made, (before) =>
    (before['events'] as number) <= times.length || isArchiveWhole === true ? { ...before, ...made } : null,
  );
  return changed === null ? [] : [{ events: changed['events'] }];
}

const bare = (identity: unknown): string => String(identity).replaceAll('-', '');

function* walk(session: Session, values: readonly unknown[]): Running<object[]> {
  const [role, gameId, pastMs, playerId, tsMs, identity, limit] = values;
  const place = (row: Row): string => placeText(row['player_id'], row['ts_ms'], row['identity']);
  const after = placeText(playerId, tsMs, identity);
  const found = session.rows('events', (row) => row['game_id'] === gameId && place(row) > after);
  return orderedBy(found, ({ row }) => place(row))
    .slice(0, limit as number)
    .map(({ row }) => {
      const entered = session.get('inbox', inboxKey(role, row['dedupe_day'], row['identity']));
      const isPast = entered !== null && (entered['settled_at'] as number) <= (pastMs as number);
      return { ...settledColumns(session, role, row), isPast };
    });
}

/** (player_id, ts_ms, identity) as one text in its order; a time of -1 is before all. */
const placeText = (playerId: unknown, tsMs: unknown, identity: unknown): string =>
  keyText(playerId, String((tsMs as number) + 1).padStart(16, '0'), bare(identity));

function* entered(session: Session, values: readonly unknown[]): Running<object[]> {
  const [role, gameId, fromMs, toMs, limit] = values;
  return settledIn(session, role, fromMs, toMs)
    .filter((row) => row['game_id'] === gameId)
    .slice(0, limit as number)
    .map(({ dedupe_day, identity, content_hash, definition_version }) => ({
      ...{ dedupeDay: dedupe_day, identity, contentHash: content_hash, enteredUnder: definition_version },
    }));
}

function* archivedOf(session: Session, values: readonly unknown[]): Running<object[]> {
  const [gameId, days, identities, hashes, fromMs, toMs] = values;
  const wanted = new Set(
    unnest([days, identities, hashes], 'day', 'identity', 'hash').map((one) =>
      keyText(one.day, one.identity, one.hash),
    ),
  );
  return session
    .rows('events', (row) => {
      const archivedAt = row['archived_at'] as number;
      return (
        row['game_id'] === gameId &&
        archivedAt > (fromMs as number) &&
        (toMs === null || archivedAt <= (toMs as number)) &&
        wanted.has(keyText(row['dedupe_day'], row['identity'], row['content_hash']))
      );
    })
    .map(({ row }) => archivedColumns(row));
}

function* profiledEvents(session: Session, [gameId]: readonly unknown[]): Running<object[]> {
  const counts = session
    .rows('player_profiles', (row) => row['game_id'] === gameId)
    .map(({ row }) => row['events'] as number);
  return [{ events: counts.reduce((sum, events) => sum + events, 0) }];
}

function* claim(session: Session, [kind, seconds]: readonly unknown[]): Running<object[]> {
  const next_at = session.beganAtMs + (seconds as number) * 1_000;
  const row = { kind, place: [], next_at };
  const claimed = yield* session.upsert('healing_walks', kind as string, row, (before) =>
    (before['next_at'] as number) <= session.beganAtMs ? { ...before, next_at } : null,
  );
  return claimed === null ? [] : [{ place: claimed['place'] }];
}

function* reached(session: Session, [kind, place]: readonly unknown[]): Running<object[]> {
  yield* session.update('healing_walks', kind as string, (row) => ({ ...row, place }));
  return [];
}

function* playersAfter(session: Session, values: readonly unknown[]): Running<object[]> {
  const [gameId, playerId, limit, ofGame] = values;
  const after = keyText(gameId, playerId);
  const max = limit as number;
  const first = (table: string, column: string): string[] => {
    const keys = session
      .rows(table, (row) => row[column] !== '')
      .map(({ row }) => keyText(row['game_id'], row[column]));
    return [...new Set(keys)]
      .filter((key) => byText(key, after) > 0)
      .sort(byText)
      .slice(0, max);
  };
  const known = new Set([
    ...first('player_profiles', 'player_id'),
    ...first('player_progress', 'player_id'),
    ...first('board_scores', 'subject'),
  ]);
  return [...known]
    .sort(byText)
    .map((key) => key.split('\u0000'))
    .filter(([game]) => ofGame === null || game === ofGame)
    .slice(0, max)
    .map(([game, player]) => ({ gameId: game, playerId: player }));
}

function* gamesOf(session: Session): Running<object[]> {
  const games = session.rows('games').map(({ row }) => row['game_id'] as string);
  return games.sort(byText).map((gameId) => ({ gameId }));
}

function* one(): Running<object[]> {
  return [{ '?column?': 1 }];
}

const FOLLOWED = 'pkg/worker/rederive/followed.postgres.ts';
const REDERIVE = 'pkg/worker/rederive/postgres.ts';
const PROFILE = 'pkg/worker/rederive/profile.postgres.ts';
const SHARED = 'pkg/worker/rederive/shared.postgres.ts';
const WALKS = 'pkg/heal/walks.postgres.ts';

export const rederiveStatements: readonly Taught[] = [
  { name: `${FOLLOWED} HORIZON`, fingerprint: '123bb82730ba', meaning: horizon },
  { name: `${FOLLOWED} holdFollower`, fingerprint: 'b9e666ba491c', meaning: holdFollower },
  { name: `${FOLLOWED} THROUGH`, fingerprint: '4f12ec8ea193', meaning: through },
  { name: `${FOLLOWED} FOLLOW`, fingerprint: '2b6bcc81e699', meaning: follow },
  { name: `${FOLLOWED} FORGET_ARCHIVED`, fingerprint: 'bb1ee32292be', meaning: forgetArchived },
  { name: `${FOLLOWED} forgetArchived`, fingerprint: '19d7b74e5d05', meaning: countUnarchived },
  { name: `${FOLLOWED} KEPT`, fingerprint: 'f739d380720a', meaning: kept },
  { name: `${REDERIVE} SETTLED`, fingerprint: '2d6f24320855', meaning: settled },
  { name: `${REDERIVE} STRANGERS`, fingerprint: 'db7ea7994804', meaning: strangers },
  { name: `${REDERIVE} STILL_STRANGE`, fingerprint: '6ced1369d91e', meaning: stillStrange },
  { name: `${REDERIVE} holdArchive`, fingerprint: 'e4fdd049f78d', meaning: holdArchive },
  { name: `${PROFILE} HOLD`, fingerprint: '552e9f9c3290', meaning: holdProfile },
  { name: `${PROFILE} MAKE`, fingerprint: '3d0e43950075', meaning: makeProfile },
  { name: `${PROFILE} answers`, fingerprint: 'e004ebd5b553', meaning: one },
  { name: `${SHARED} WALK`, fingerprint: '05877f7b4fab', meaning: walk },
  { name: `${SHARED} ENTERED`, fingerprint: '7a7b9ebf7529', meaning: entered },
  { name: `${SHARED} ARCHIVED`, fingerprint: 'dd8aa499b80c', meaning: archivedOf },
  { name: `${SHARED} profiledEvents`, fingerprint: 'cd8069e5b104', meaning: profiledEvents },
  { name: `${WALKS} CLAIM`, fingerprint: '3f0ecd7a1a10', meaning: claim },
  { name: `${WALKS} reached`, fingerprint: 'f1cc623f733f', meaning: reached },
  { name: `${WALKS} PLAYERS`, fingerprint: '3e67fabb9bd9', meaning: playersAfter },
  { name: `${WALKS} gamesOf`, fingerprint: '646639045c23', meaning: gamesOf },
];
