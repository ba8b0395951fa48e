import { keyText, orderedBy, unnest, type Meaning, type Taught } from './meaning.js';
import { SqlError, type Running, type Session } from './session.js';
import type { Row } from './rows.js';

export const monthOf = (day: string): string => day.slice(0, 7);
export const inboxKey = (role: unknown, day: unknown, identity: unknown): string =>
  keyText(role, day, identity);

export const isUnsettled = (letter: Row): boolean =>
  letter['state'] === 'open' || letter['state'] === 'redriven';

function* ensureMonth(session: Session, [day]: readonly unknown[]): Running<object[]> {
  const month = monthOf(day as string);
  yield* session.insert('months', month, { month });
  return [];
}

/** The content that died first of an identity, and waits for a decision. */
function firstDead(session: Session, role: unknown, day: unknown, identity: unknown): unknown {
  let first: Row | null = null;
  for (const { row } of session.rows('dead_letters', (one) => one['identity'] === identity)) {
    const isIt = row['role'] === role && row['dedupe_day'] === day && isUnsettled(row);
    if (!isIt || row['reason'] === 'event_id_conflict') continue;
    if (first === null || (row['id'] as number) < (first['id'] as number)) first = row;
  }
  return first?.['content_hash'] ?? null;
}

function* enter(session: Session, [role, ...given]: readonly unknown[]): Running<object[]> {
  const rows = unnest(
    given,
    'dedupe_day',
    'identity',
    'game_id',
    'lane',
    'content_hash',
    'definition_version',
  );
  for (const { game_id } of rows) session.games.add(game_id);
  // Letters are looked at in the statement's own snapshot, before anything of it is waited for.
  const has_open_letters = session.some(
    'dead_letters',
    (letter) => letter['role'] === role && isUnsettled(letter),
  );
  const free = rows.filter(({ dedupe_day, identity, content_hash }) => {
    const first = has_open_letters ? firstDead(session, role, dedupe_day, identity) : null;
    return first === null || first === content_hash;
  });
  const entered = new Set<string>();
  for (const row of orderedBy(free, (one) => keyText(one.dedupe_day, one.identity))) {
    if (session.get('months', monthOf(row.dedupe_day)) === null)
      throw new SqlError(
        '23514',
        `no partition of relation "inbox" found for row of ${String(row.dedupe_day)}`,
      );
    const key = inboxKey(role, row.dedupe_day, row.identity);
    const settled_at = session.beganAtMs;
    if (yield* session.insert('inbox', key, { role, ...row, settled_at }))
      entered.add(keyText(key, row.content_hash));
  }
  const standing = rows.flatMap((row, i) =>
    entered.has(keyText(inboxKey(role, row.dedupe_day, row.identity), row.content_hash)) ? [] : [i],
  );
  return [{ standing, has_open_letters }];
}

function* look(session: Session, [role, ...given]: readonly unknown[]): Running<object[]> {
  return unnest(given, 'n', 'dedupe_day', 'identity').map(({ n, dedupe_day, identity }) => {
    const row = session.get('inbox', inboxKey(role, dedupe_day, identity));
    return { n, content_hash: row?.['content_hash'] ?? firstDead(session, role, dedupe_day, identity) };
  });
}

const NO_COUNTS = { delivered: 0, applied: 0, duplicate: 0, conflict: 0, dead: 0 };

/** Adds to a row of role_counters, making it where it is absent. */
function* count(
  session: Session,
  role: unknown,
  lane: unknown,
  more: Partial<typeof NO_COUNTS>,
): Running<void> {
  const add = (row: Row): Row => {
    const counts = Object.entries(more).map(([name, by]) => [name, (row[name] as number) + by]);
    return { ...row, ...(Object.fromEntries(counts) as Row) };
  };
  yield* session.upsert('role_counters', keyText(role, lane), add({ role, lane, ...NO_COUNTS }), add);
}

function* countSettled(session: Session, [role, ...given]: readonly unknown[]): Running<object[]> {
  const rows: { lane: number; applied: number; duplicate: number }[] = unnest(
    given,
    'lane',
    'applied',
    'duplicate',
  );
  for (const { lane, applied, duplicate } of rows.sort((a, b) => a.lane - b.lane))
    yield* count(session, role, lane, { delivered: applied + duplicate, applied, duplicate });
  return [];
}

/** `isByIdentity`: which of the two unique indexes of dead_letters arbitrates. */
const putLetter = (isByIdentity: boolean): Meaning =>
  function* (session, values) {
    const [role, game_id, player_id, dedupe_day, identity, content_hash, transport_position, reason, detail] =
      values;
    const [attempts, body, headers, code_version, lane, conflict, event_id, event_type] = values.slice(9);
    const entered = session.get('inbox', inboxKey(role, dedupe_day, identity));
    const tookEffect =
      isByIdentity &&
      entered !== null &&
      entered['content_hash'] === content_hash &&
      (entered['definition_version'] as number) > 0;
    const key = isByIdentity
      ? keyText(role, dedupe_day, identity, content_hash)
      : keyText(role, transport_position, body);
    const now = session.beganAtMs;
    const closing = tookEffect
      ? { state: 'applied', closed_at: now, closed_by: 'worker' }
      : { state: 'open', closed_at: null, closed_by: null };
    const letter = {
      ...{ id: session.server.nextSerial(), role, game_id, player_id, dedupe_day, identity, content_hash },
      ...{ transport_position, reason, detail, attempts, body, headers, code_version, event_id, event_type },
      ...{ ...closing, action_id: null, closed_why: null, first_seen_at: now, last_seen_at: now },
    };
    yield* session.upsert('dead_letters', key, letter, (row) => ({
      ...row,
      ...{ attempts: (row['attempts'] as number) + 1, last_seen_at: now, reason, detail },
      ...{ transport_position, code_version },
      ...(isUnsettled(row) ? closing : {}),
    }));
    const isConflict = conflict as number;
    yield* count(session, role, lane, { delivered: 1, conflict: isConflict, dead: 1 - isConflict });
    return [];
  };

function* closeApplied(session: Session, [role, ...given]: readonly unknown[]): Running<object[]> {
  const wanted = unnest(given, 'dedupe_day', 'identity', 'content_hash')
    .map((event) => keyText(role, event.dedupe_day, event.identity, event.content_hash))
    .filter((key) => {
      const row = session.get('dead_letters', key);
      return row !== null && isUnsettled(row);
    });
  // The inner query tells which; the update goes by the primary key alone, so another state meanwhile is overwritten.
  for (const key of wanted) {
    yield* session.update('dead_letters', key, (row) => ({
      ...row,
      ...{ state: 'applied', closed_at: session.beganAtMs, closed_by: 'worker' },
      closed_why: 'the event took effect',
    }));
  }
  return [];
}

export function* floor(session: Session, [gameId]: readonly unknown[]): Running<object[]> {
  const row = session.get('games', gameId as string);
  return row === null ? [] : [{ dedupe_floor: row['dedupe_floor'] }];
}

export const workerStatements: readonly Taught[] = [
  { name: 'pkg/worker/inbox/postgres.ts ensureMonth', fingerprint: '9737616c7bc0', meaning: ensureMonth },
  { name: 'pkg/worker/inbox/postgres.ts ENTER', fingerprint: '620010ad2fcf', meaning: enter },
  { name: 'pkg/worker/inbox/postgres.ts LOOK', fingerprint: '001b757b3c8a', meaning: look },
  { name: 'pkg/worker/inbox/postgres.ts countSettled', fingerprint: '815acb41a97e', meaning: countSettled },
  {
    name: 'pkg/worker/dead-letters/postgres.ts PUT_BY_IDENTITY',
    fingerprint: '83a1c6bbbb07',
    meaning: putLetter(true),
  },
  {
    name: 'pkg/worker/dead-letters/postgres.ts PUT_BY_BODY',
    fingerprint: '74bcb931809a',
    meaning: putLetter(false),
  },
  { name: 'pkg/worker/dead-letters/postgres.ts CLOSE', fingerprint: '4c8f2e115026', meaning: closeApplied },
  { name: 'pkg/worker/dedupe-floors/postgres.ts floor', fingerprint: 'f276933059c2', meaning: floor },
];
