import { keyText, orderedBy, unnest, type Taught } from './meaning.js';
import type { Row } from './rows.js';
import { SqlError, type Running, type Session } from './session.js';
import { inboxKey, isUnsettled, monthOf } from './worker-statements.js';

/** Rows of a table keyed by something else, found by their numbers, in the order of these. */
export function byIds(session: Session, table: string, ids: unknown): { key: string; row: Row }[] {
  const wanted = new Set((ids as readonly unknown[]).map(Number));
  return session
    .rows(table, (row) => wanted.has(row['id'] as number))
    .sort((a, b) => (a.row['id'] as number) - (b.row['id'] as number));
}

export const isOpen = (letter: Row): boolean => letter['state'] === 'open';

/** SELECT ... WHERE id = ANY AND ... ORDER BY id FOR UPDATE: what still fits when it is held. */
export function* holdLetters(
  session: Session,
  ids: unknown,
  fits: (letter: Row) => boolean,
): Running<{ key: string; row: Row }[]> {
  const held: { key: string; row: Row }[] = [];
  for (const { key } of byIds(session, 'dead_letters', ids).filter(({ row }) => fits(row))) {
    const row = yield* session.lock('dead_letters', key, 'update', fits);
    if (row !== null) held.push({ key, row });
  }
  return held;
}

function* recordAction(session: Session, values: readonly unknown[]): Running<object[]> {
  const [action, actor, why, scope] = values;
  const id = session.server.nextSerial();
  const made_at = session.beganAtMs;
  yield* session.insertNew('operator_actions', String(id), { id, action, actor, why, scope, made_at });
  return [{ id }];
}

function* newestLetterId(session: Session): Running<object[]> {
  const ids = session.rows('dead_letters').map(({ row }) => row['id'] as number);
  return [{ id: Math.max(0, ...ids) }];
}

/** MATCHES: each filter is null or what the column must be. */
function* letterIds(session: Session, values: readonly unknown[]): Running<object[]> {
  const [role, game_id, player_id, reason, state, sinceMs, beforeMs, ids] = values;
  const [afterId, upToId, limit] = values.slice(8) as number[];
  const wanted = ids === null ? null : new Set((ids as readonly unknown[]).map(Number));
  const columns = Object.entries({ role, game_id, player_id, reason, state });
  const fits = (row: Row): boolean => {
    const id = row['id'] as number;
    const seenMs = row['last_seen_at'] as number;
    return (
      columns.every(([name, value]) => value === null || row[name] === value) &&
      (sinceMs === null || seenMs >= (sinceMs as number)) &&
      (beforeMs === null || seenMs < (beforeMs as number)) &&
      (wanted === null || wanted.has(id)) &&
      id > (afterId ?? 0) &&
      id <= (upToId ?? 0)
    );
  };
  return session
    .rows('dead_letters', fits)
    .map(({ row }) => ({ id: row['id'] as number }))
    .sort((a, b) => a.id - b.id)
    .slice(0, limit);
}

const millis = (value: unknown): number | null =>
  value === null || value === undefined ? null : Number(value);

function* readLetter(session: Session, [id]: readonly unknown[]): Running<object[]> {
  return byIds(session, 'dead_letters', [id]).map(({ row }) => {
    const action = session.get('operator_actions', String(row['action_id']));
    return {
      ...{ id: row['id'], role: row['role'], gameId: row['game_id'] ?? '', playerId: row['player_id'] ?? '' },
      ...{ eventId: row['event_id'], eventType: row['event_type'], reason: row['reason'] },
      ...{ attempts: row['attempts'], state: row['state'], detail: row['detail'], body: row['body'] },
      ...{ firstSeenMs: row['first_seen_at'], lastSeenMs: row['last_seen_at'] },
      headers: JSON.parse(row['headers'] as string) as object,
      ...{ position: row['transport_position'], codeVersion: row['code_version'] },
      ...{ dedupeDay: row['dedupe_day'], identity: row['identity'], contentHash: row['content_hash'] },
      ...{ closedMs: millis(row['closed_at']), closedBy: row['closed_by'], closedWhy: row['closed_why'] },
      correctedBy: session.get('corrections', String(row['id']))?.['event_id'] ?? null,
      action: action === null ? null : { ...action, madeMs: action['made_at'] },
    };
  });
}

const mayBeDropped =
  (states: unknown) =>
  (letter: Row): boolean =>
    isOpen(letter) || ((states as unknown[]).includes(letter['state']) && letter['identity'] !== null);

function* candidates(session: Session, [ids, states]: readonly unknown[]): Running<object[]> {
  return byIds(session, 'dead_letters', ids)
    .filter(({ row }) => mayBeDropped(states)(row) && row['identity'] !== null)
    .map(({ row }) => ({
      ...{ id: row['id'], role: row['role'], gameId: row['game_id'], playerId: row['player_id'] },
      ...{ dedupeDay: row['dedupe_day'], identity: row['identity'], contentHash: row['content_hash'] },
    }));
}

function* countedElsewhere(session: Session, [ids, roles]: readonly unknown[]): Running<object[]> {
  return byIds(session, 'dead_letters', ids)
    .filter(({ row }) => row['role'] === 'archive' && row['identity'] !== null)
    .filter(({ row: { dedupe_day, identity } }) => {
      const archived = session.get('inbox', inboxKey('archive', dedupe_day, identity));
      return !((archived?.['definition_version'] as number) > 0);
    })
    .filter(({ row }) => (roles as readonly string[]).some((role) => tookEffect(session, { ...row, role })))
    .map(({ row }) => ({ id: row['id'] }));
}

const hasFloorBelow = (session: Session, gameId: unknown, day: unknown): boolean => {
  const game = session.get('games', gameId as string);
  return game !== null && (game['dedupe_floor'] as string) <= (day as string);
};

function* months(session: Session, values: readonly unknown[]): Running<object[]> {
  const rows: { game_id: string; day: string }[] = unnest(values, 'game_id', 'day');
  const kept = rows.filter(({ game_id, day }) => hasFloorBelow(session, game_id, day));
  return [...new Set(kept.map(({ day }) => `${monthOf(day)}-01`))].sort().map((month) => ({ month }));
}

function* bar(session: Session, values: readonly unknown[]): Running<object[]> {
  const given: Record<'role' | 'dedupe_day' | 'identity' | 'game_id' | 'lane' | 'content_hash', never>[] =
    unnest(values, ...(['role', 'dedupe_day', 'identity', 'game_id', 'lane', 'content_hash'] as const));
  const chosen = given.filter(({ role, dedupe_day, identity, game_id, content_hash }) => {
    if (!hasFloorBelow(session, game_id, dedupe_day)) return false;
    const archived = session.get('inbox', inboxKey('archive', dedupe_day, identity));
    if (archived !== null && (archived['definition_version'] as number) > 0)
      return archived['content_hash'] === content_hash;
    return !session.some(
      'dead_letters',
      (letter) =>
        letter['role'] === role &&
        letter['dedupe_day'] === dedupe_day &&
        letter['identity'] === identity &&
        letter['content_hash'] !== content_hash &&
        isUnsettled(letter),
    );
  });
  const barred: object[] = [];
  for (const row of orderedBy(chosen, (one) => keyText(one.role, one.dedupe_day, one.identity))) {
    if (session.get('months', monthOf(row.dedupe_day)) === null)
      throw new SqlError(
        '23514',
        `no partition of relation "inbox" found for row of ${String(row.dedupe_day)}`,
      );
    const entry = { ...row, definition_version: 0, settled_at: session.beganAtMs };
    if (yield* session.insert('inbox', inboxKey(row.role, row.dedupe_day, row.identity), entry))
      barred.push({ role: row.role, dedupeDay: row.dedupe_day, identity: row.identity });
  }
  return barred;
}

/** Whether the inbox says that this content took effect. */
export function tookEffect(session: Session, { role, dedupe_day, identity, content_hash }: Row): boolean {
  const entered = session.get('inbox', inboxKey(role, dedupe_day, identity));
  return entered?.['content_hash'] === content_hash && (entered?.['definition_version'] as number) > 0;
}

function* drop(session: Session, values: readonly unknown[]): Running<object[]> {
  const [ids, states, action_id, actor, why] = values;
  const held = yield* holdLetters(session, ids, mayBeDropped(states));
  const dropped: object[] = [];
  for (const { key, row } of held) {
    const closing = tookEffect(session, row)
      ? { state: 'applied', closed_by: 'worker', closed_why: 'the event took effect' }
      : { state: 'dropped', closed_by: actor, closed_why: why };
    const change = { ...closing, action_id, closed_at: session.beganAtMs };
    yield* session.update('dead_letters', key, (before) => ({ ...before, ...change }));
    dropped.push({ id: row['id'], state: closing.state });
  }
  return dropped;
}

function* unbar(session: Session, values: readonly unknown[]): Running<object[]> {
  for (const { role, dedupe_day, identity } of unnest(values, 'role', 'dedupe_day', 'identity')) {
    const key = inboxKey(role, dedupe_day, identity);
    if (session.get('inbox', key)?.['definition_version'] === 0) yield* session.remove('inbox', key);
  }
  return [];
}

function* effects(session: Session, values: readonly unknown[]): Running<object[]> {
  const [roles, dedupe_day, identity, content_hash] = values;
  const some = (roles as readonly string[]).some((role) =>
    tookEffect(session, { role, dedupe_day, identity, content_hash }),
  );
  return some ? [{ '?column?': 1 }] : [];
}

function* standing(session: Session, values: readonly unknown[]): Running<object[]> {
  const [role, day, identity, gameId] = values;
  const isEntered = session.get('inbox', inboxKey(role, day, identity)) !== null;
  const game = session.get('games', gameId as string);
  return [{ stands: isEntered || (game !== null && (game['dedupe_floor'] as string) > (day as string)) }];
}

function* closeCorrected(session: Session, values: readonly unknown[]): Running<object[]> {
  const [id, action_id, closed_by, closed_why] = values;
  const change = { state: 'corrected', action_id, closed_by, closed_why, closed_at: session.beganAtMs };
  const closed: object[] = [];
  for (const { key } of byIds(session, 'dead_letters', [id])) {
    if (yield* session.update('dead_letters', key, (row) => ({ ...row, ...change }), isOpen))
      closed.push({ id });
  }
  return closed;
}

function* insertCorrection(session: Session, values: readonly unknown[]): Running<object[]> {
  const [letter_id, role, dedupe_day, identity, event_id, action_id] = values;
  const row = { letter_id, role, dedupe_day, identity, event_id, action_id };
  yield* session.insertNew('corrections', String(letter_id), row);
  return [];
}

const LOOK_BACK_MS = 600_000;

function* closeStale(session: Session, [role]: readonly unknown[]): Running<object[]> {
  const since = session.beganAtMs - LOOK_BACK_MS;
  const stale = session.rows(
    'dead_letters',
    (row) =>
      row['role'] === role &&
      isUnsettled(row) &&
      row['identity'] !== null &&
      (row['last_seen_at'] as number) > since &&
      tookEffect(session, row),
  );
  const change = { state: 'applied', closed_by: 'worker', closed_why: 'the event took effect' };
  const closed: object[] = [];
  // The planner decides in which order an UPDATE meets its rows.
  for (const { key, row } of session.server.world.chance.shuffled(stale)) {
    const close = (before: Row): Row => ({ ...before, ...change, closed_at: session.beganAtMs });
    if (yield* session.update('dead_letters', key, close, isUnsettled)) closed.push({ id: row['id'] });
  }
  return closed;
}

const QUERIES = 'pkg/worker/dead-letters/queries.postgres.ts';
const DECISIONS = 'pkg/worker/dead-letters/decisions.postgres.ts';
const CORRECT = 'pkg/worker/dead-letters/correct.postgres.ts';

export const letterStatements: readonly Taught[] = [
  { name: `${QUERIES} recordAction`, fingerprint: 'be927e339de5', meaning: recordAction },
  { name: `${QUERIES} newestLetterId`, fingerprint: 'ed720f969e5e', meaning: newestLetterId },
  { name: `${QUERIES} letterIds`, fingerprint: '74b2bb4c3c4b', meaning: letterIds },
  { name: `${QUERIES} LETTER`, fingerprint: '2e05ea4df791', meaning: readLetter },
  { name: `${DECISIONS} CANDIDATES`, fingerprint: '89547c65cbc4', meaning: candidates },
  { name: `${DECISIONS} ensureMonths`, fingerprint: '4c69f039283b', meaning: months },
  { name: `${DECISIONS} BAR`, fingerprint: '60b3f22234bc', meaning: bar },
  { name: `${DECISIONS} COUNTED_ELSEWHERE`, fingerprint: 'c736a748a2e4', meaning: countedElsewhere },
  { name: `${DECISIONS} DROP`, fingerprint: '67cc42a15344', meaning: drop },
  { name: `${DECISIONS} UNBAR`, fingerprint: 'd67c462e90b4', meaning: unbar },
  { name: `${CORRECT} tookEffect`, fingerprint: 'fa207860029b', meaning: effects },
  { name: `${CORRECT} standing`, fingerprint: 'c5be83e5efb7', meaning: standing },
  { name: `${CORRECT} correctLetter UPDATE`, fingerprint: '1c6cdd6f9b9b', meaning: closeCorrected },
  { name: `${CORRECT} correctLetter INSERT`, fingerprint: '8820858d2d0c', meaning: insertCorrection },
  {
    name: 'pkg/worker/dead-letters/postgres.ts CLOSE_STALE',
    fingerprint: '8de8de154d4a',
    meaning: closeStale,
  },
];
