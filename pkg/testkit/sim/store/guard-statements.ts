import { SUSPECT_AFTER } from '../../../worker/crash-guard/rules.js';
import { byText, keyText, type Taught } from './meaning.js';
import type { Row } from './rows.js';
import type { Running, Session } from './session.js';

/** The advisory lock that a process holds while it lives. */
export const lifeKey = (incarnation: unknown): string => keyText('life', incarnation);

const KEY_DIGITS = 16;

/** IS_DEAD, of every other process in the snapshot. */
function theDead(session: Session, own: unknown): string[] {
  return session
    .rows('worker_lives', (row) => row['incarnation'] !== own)
    .map(({ row }) => row['incarnation'] as string)
    .filter((incarnation) => session.tryAdvisoryShared(lifeKey(incarnation)));
}

function* take(session: Session, values: readonly unknown[]): Running<object[]> {
  const [role, incarnation, slot, bytes, is_alone, isHeld] = values;
  const keys = isHeld === true ? (bytes as Buffer).toString('hex') : '';
  const change = { keys, is_alone, taken_at: session.beganAtMs };
  const hasSuspects = session.some('crash_suspects', (row) => row['role'] === role);
  const hasDead = theDead(session, incarnation).length > 0;
  const row = { role, incarnation, slot, ...change };
  yield* session.upsert('batches_in_hand', keyText(role, incarnation, slot), row, (before) => ({
    ...before,
    ...change,
  }));
  return [{ has_dead: hasDead, has_suspects: hasSuspects }];
}

const digitsOf = (keys: string): string[] =>
  Array.from({ length: keys.length / KEY_DIGITS }, (_, n) =>
    keys.slice(n * KEY_DIGITS, (n + 1) * KEY_DIGITS),
  );

interface Had {
  readonly role: string;
  readonly key: string;
  readonly deaths: Set<string>;
  readonly crashes: Set<string>;
}

function* inquest(session: Session, [own]: readonly unknown[]): Running<object[]> {
  const dead: string[] = [];
  for (const incarnation of theDead(session, own)) {
    if ((yield* session.lock('worker_lives', incarnation, 'update')) === null) continue;
    yield* session.remove('worker_lives', incarnation);
    dead.push(incarnation);
  }
  const had = new Map<string, Had>();
  for (const { key: place, row } of session.rows('batches_in_hand', (one) =>
    dead.includes(one['incarnation'] as string),
  )) {
    if ((yield* session.lock('batches_in_hand', place, 'update')) === null) continue;
    yield* session.remove('batches_in_hand', place);
    const { role, incarnation, keys, is_alone } = row as Record<string, string>;
    for (const key of digitsOf(keys ?? '')) {
      const id = keyText(role, key);
      const one = had.get(id) ?? { role: role ?? '', key, deaths: new Set(), crashes: new Set() };
      had.set(id, one);
      one.deaths.add(incarnation ?? '');
      if (row['is_alone'] === true || is_alone === 'true') one.crashes.add(incarnation ?? '');
    }
  }
  for (const [id, { role, key, deaths, crashes }] of [...had].sort(([a], [b]) => byText(a, b))) {
    const row = { role, key, deaths: deaths.size, crashes: [...crashes], since: session.beganAtMs };
    yield* session.upsert('crash_suspects', id, row, (before) => ({
      ...before,
      deaths: (before['deaths'] as number) + deaths.size,
      crashes: [...new Set([...(before['crashes'] as string[]), ...crashes])],
      since: session.beganAtMs,
    }));
  }
  return [];
}

function* find(session: Session, [role, keys]: readonly unknown[]): Running<object[]> {
  return (keys as readonly string[]).flatMap((key) => {
    const row = session.get('crash_suspects', keyText(role, key));
    if (row === null || (row['deaths'] as number) < SUSPECT_AFTER) return [];
    return [{ key, crashes: (row['crashes'] as string[]).length }];
  });
}

function* putDown(session: Session, values: readonly unknown[]): Running<object[]> {
  const [role, incarnation, slot, cleared] = values;
  yield* session.update('batches_in_hand', keyText(role, incarnation, slot), (row) => ({
    ...row,
    ...{ keys: '', is_alone: false },
  }));
  yield* session.remove('crash_suspects', keyText(role, cleared));
  return [];
}

const HOUR_MS = 3_600_000;

/** FOR UPDATE SKIP LOCKED: what another holds is left to the next time. */
function* removeFree(session: Session, table: string, fits: (row: Row) => boolean): Running<void> {
  for (const { key } of session.rows(table, fits)) {
    const slot = session.table(table).slotOf(key);
    if (slot.holdersAgainst(session, 'update').length === 0) yield* session.remove(table, key);
  }
}

function* forget(session: Session): Running<object[]> {
  const ageMs = (since: unknown): number => session.beganAtMs - (since as number);
  yield* removeFree(
    session,
    'batches_in_hand',
    ({ incarnation, taken_at }) =>
      session.get('worker_lives', incarnation as string) === null && ageMs(taken_at) > HOUR_MS,
  );
  yield* removeFree(
    session,
    'crash_suspects',
    ({ crashes, since }) => ageMs(since) > ((crashes as string[]).length === 0 ? HOUR_MS : 24 * HOUR_MS),
  );
  return [];
}

const FILE = 'pkg/worker/crash-guard/postgres.ts';

export const guardStatements: readonly Taught[] = [
  { name: `${FILE} TAKE`, fingerprint: '3714c92bb04a', meaning: take },
  { name: `${FILE} INQUEST`, fingerprint: 'e89e4831ec88', meaning: inquest },
  { name: `${FILE} FIND`, fingerprint: '0e73e903750b', meaning: find },
  { name: `${FILE} PUT_DOWN`, fingerprint: 'fc8371f8557f', meaning: putDown },
  { name: `${FILE} FORGET`, fingerprint: 'b66902f25c29', meaning: forget },
];
