import { byIds, holdLetters, isOpen } from './letter-statements.js';
import { keyText, unnest, type Taught } from './meaning.js';
import type { Row } from './rows.js';
import type { Running, Session } from './session.js';
import { inboxKey, isUnsettled } from './worker-statements.js';

const isPending = (row: Row): boolean => row['state'] === 'pending';

/** The two partial unique indexes over what is pending. Rows without an identity or a letter are in one of them alone. */
const indexesOf = (row: Row): [table: string, key: string][] => [
  ...(row['identity'] === null
    ? []
    : [
        [
          'resubmissions_once',
          keyText(row['role'], row['dedupe_day'], row['identity'], row['content_hash']),
        ] satisfies [string, string],
      ]),
  ...(row['letter_id'] === null
    ? []
    : [['resubmissions_letter_once', String(row['letter_id'])] satisfies [string, string]]),
];

/** INSERT ... ON CONFLICT DO NOTHING: who is inserting or closing the same is waited for. */
function* insertPending(session: Session, row: Row): Running<boolean> {
  const indexes = indexesOf(row);
  for (const [table, key] of indexes) {
    const slot = session.table(table).slotOf(key);
    while (slot.pending !== null && slot.pending.holder !== session)
      yield { kind: 'locked', slot, mode: 'update' };
    if (slot.newestFor(session) !== null) return false;
  }
  const id = session.server.nextSerial();
  const made_at = session.beganAtMs;
  for (const [table, key] of indexes) yield* session.insert(table, key, { id });
  const made = { id, ...row, state: 'pending', made_at, closed_at: null };
  yield* session.insertNew('resubmissions', String(id), made);
  return true;
}

function* redrive(session: Session, [ids, action_id]: readonly unknown[]): Running<object[]> {
  const held = yield* holdLetters(session, ids, isOpen);
  for (const { key } of held)
    yield* session.update('dead_letters', key, (row) => ({ ...row, state: 'redriven', action_id }));
  let sent = 0;
  for (const { row } of held) {
    const { role, dedupe_day, identity, content_hash, transport_position: position, body, headers } = row;
    const given = { role, game_id: row['game_id'] ?? '', player_id: row['player_id'] ?? '', dedupe_day };
    const rest = { identity, content_hash, position, body, headers, letter_id: row['id'], action_id };
    if (yield* insertPending(session, { ...given, ...rest })) sent += 1;
  }
  return [{ sent }];
}

const COPY_COLUMNS = [
  ...([
    'role',
    'game_id',
    'player_id',
    'dedupe_day',
    'identity',
    'content_hash',
    'position',
    'body',
  ] as const),
] as const;

function* submit(session: Session, values: readonly unknown[]): Running<object[]> {
  const action_id = values[COPY_COLUMNS.length];
  const sent: object[] = [];
  for (const row of unnest(values, ...COPY_COLUMNS)) {
    const whole = { ...row, headers: '{}', letter_id: null, action_id };
    if (yield* insertPending(session, whole)) sent.push({ '?column?': 1 });
  }
  return sent;
}

function* isAnythingToDo(session: Session, [role]: readonly unknown[]): Running<object[]> {
  return [
    {
      isPending: session.some('resubmissions', (row) => row['role'] === role && isPending(row)),
      isOpen: session.some('dead_letters', (row) => row['role'] === role && isUnsettled(row)),
    },
  ];
}

function* holdRole(session: Session, [role]: readonly unknown[]): Running<object[]> {
  return [{ held: session.tryAdvisory(keyText('fairtally.resubmissions', role)) }];
}

function* pendingOf(session: Session, values: readonly unknown[]): Running<object[]> {
  const [role, limit, isTheirs, ...named] = values;
  const players = new Set(
    unnest(named, 'game_id', 'player_id').map((one) => keyText(one.game_id, one.player_id)),
  );
  const fits = (row: Row): boolean => players.has(keyText(row['game_id'], row['player_id'])) === isTheirs;
  return session
    .rows('resubmissions', (row) => row['role'] === role && isPending(row) && fits(row))
    .sort((a, b) => (a.row['id'] as number) - (b.row['id'] as number))
    .slice(0, limit as number)
    .map(({ row: { id, game_id, player_id, position, body, headers } }) => ({
      ...{ id, game_id, player_id, position, body },
      headers: JSON.parse(headers as string) as object,
    }));
}

function* playersAside(session: Session, [role]: readonly unknown[]): Running<object[]> {
  const players = session
    .rows('resubmissions', (row) => row['role'] === role && isPending(row) && row['is_aside'] === true)
    .map(({ row }) => keyText(row['game_id'], row['player_id']));
  return [...new Set(players)].map((player) => {
    const [gameId, playerId] = player.split('\u0000');
    return { gameId, playerId };
  });
}

/** Whether the event had taken effect, or was barred, before it was sent again. */
function stood(session: Session, { role, dedupe_day, identity, made_at }: Row): boolean {
  const entered = session.get('inbox', inboxKey(role, dedupe_day, identity));
  if (entered === null) return false;
  return (entered['settled_at'] as number) < (made_at as number) || entered['definition_version'] === 0;
}

function* closeLetters(session: Session, [ids, failedIds]: readonly unknown[]): Running<object[]> {
  const failed = new Set((failedIds as readonly unknown[]).map(Number));
  const isFailed = new Map<number, boolean>();
  for (const { row } of byIds(session, 'resubmissions', ids).filter((one) => isPending(one.row))) {
    const { role, dedupe_day, identity, content_hash } = row;
    const letter = session.get('dead_letters', keyText(role, dedupe_day, identity, content_hash));
    const letterId = row['letter_id'] ?? letter?.['id'] ?? null;
    if (letterId !== null) isFailed.set(letterId as number, failed.has(row['id'] as number));
  }
  const closed_at = session.beganAtMs;
  for (const { key, row } of yield* holdLetters(session, [...isFailed.keys()], isUnsettled)) {
    const change = isFailed.get(row['id'] as number)
      ? { state: 'open', closed_at: null, closed_by: null, closed_why: null }
      : { state: 'applied', closed_at, closed_by: 'worker', closed_why: 'the event took effect' };
    yield* session.update('dead_letters', key, (before) => ({ ...before, ...change }));
  }
  return [];
}

/** An UPDATE of what is pending: its entries in the two indexes go. */
function* end(session: Session, key: string, state: string): Running<boolean> {
  const closed_at = session.beganAtMs;
  const pending = yield* session.lock('resubmissions', key, 'update', isPending);
  if (pending === null) return false;
  yield* session.update('resubmissions', key, (before) => ({ ...before, state, closed_at }));
  for (const [table, entry] of indexesOf(pending)) yield* session.remove(table, entry);
  return true;
}

function* close(session: Session, [ids, failedIds]: readonly unknown[]): Running<object[]> {
  const failed = new Set((failedIds as readonly unknown[]).map(Number));
  const states: object[] = [];
  for (const { key, row } of byIds(session, 'resubmissions', ids).filter((one) => isPending(one.row))) {
    const state = failed.has(row['id'] as number) ? 'failed' : stood(session, row) ? 'skipped' : 'done';
    if (yield* end(session, key, state)) states.push({ state });
  }
  return states;
}

function* cancel(session: Session, [letterIds]: readonly unknown[]): Running<object[]> {
  const known = new Set(byIds(session, 'dead_letters', letterIds).map(({ key }) => key));
  const isOfLetter = ({ role, dedupe_day, identity, content_hash }: Row): boolean =>
    identity !== null && known.has(keyText(role, dedupe_day, identity, content_hash));
  for (const { key } of session.rows('resubmissions', (row) => isPending(row) && isOfLetter(row)))
    yield* end(session, key, 'skipped');
  return [];
}

function* progressOf(session: Session, [actionId]: readonly unknown[]): Running<object[]> {
  const counts = new Map<unknown, number>();
  for (const { row } of session.rows('resubmissions', (one) => one['action_id'] === actionId))
    counts.set(row['state'], (counts.get(row['state']) ?? 0) + 1);
  return [...counts].map(([state, count]) => ({ state, count }));
}

function* backlogOf(session: Session, [role, limit]: readonly unknown[]): Running<object[]> {
  const waiting = session.rows('resubmissions', (row) => row['role'] === role && isPending(row));
  return [{ count: Math.min(waiting.length, limit as number) }];
}

const KEPT_MS = 7 * 86_400_000;

function* purge(session: Session): Running<object[]> {
  const before = session.beganAtMs - KEPT_MS;
  const old = session.rows(
    'resubmissions',
    (row) => !isPending(row) && row['closed_at'] !== null && (row['closed_at'] as number) < before,
  );
  const purged: object[] = [];
  for (const { key } of old) {
    yield* session.remove('resubmissions', key);
    purged.push({ '?column?': 1 });
  }
  return purged;
}

const FILE = 'pkg/worker/resubmissions/postgres.ts';

export const resubmissionStatements: readonly Taught[] = [
  { name: `${FILE} REDRIVE`, fingerprint: '168eea902c76', meaning: redrive },
  { name: `${FILE} SUBMIT`, fingerprint: '558ddafe9d01', meaning: submit },
  { name: `${FILE} isAnythingToDo`, fingerprint: 'c0f1c860a959', meaning: isAnythingToDo },
  { name: `${FILE} holdRole`, fingerprint: 'c9924b6d8ca0', meaning: holdRole },
  { name: `${FILE} playersAside`, fingerprint: '75584e878293', meaning: playersAside },
  { name: `${FILE} PENDING`, fingerprint: 'a56abf04f9cb', meaning: pendingOf },
  { name: `${FILE} CLOSE_LETTERS`, fingerprint: 'fa01724b695a', meaning: closeLetters },
  {
    name: 'pkg/worker/dead-letters/decisions.postgres.ts CANCEL',
    fingerprint: 'f7d1f8b2583b',
    meaning: cancel,
  },
  { name: `${FILE} CLOSE`, fingerprint: '871fba8cd09e', meaning: close },
  { name: `${FILE} progressOf`, fingerprint: '5ed749da82d0', meaning: progressOf },
  { name: `${FILE} backlogOf`, fingerprint: '1616ede5d8a7', meaning: backlogOf },
  { name: `${FILE} purgeClosed`, fingerprint: '5a139176b449', meaning: purge },
];
