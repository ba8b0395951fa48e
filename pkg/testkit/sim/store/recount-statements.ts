import { ROLES, type RoleName } from '../../../kernel/roles.js';
import { keyText, orderedBy, type Taught } from './meaning.js';
import { parsed } from './reconcile-statements.js';
import type { Row } from './rows.js';
import type { Running, Session } from './session.js';
import { inboxKey } from './worker-statements.js';

/** What recounts players (pkg/audit): each event with what became of it in every role, and the rows that roles made. */

const DECIDED: ReadonlySet<unknown> = new Set(['dropped', 'corrected']);

/** The roles that an event, if it is a correction, was not made for. */
function otherRoles(session: Session, { dedupe_day, identity }: Row): RoleName[] {
  const isIt = (row: Row): boolean => row['dedupe_day'] === dedupe_day && row['identity'] === identity;
  return session
    .rows('corrections', isIt)
    .flatMap(({ row }) => ROLES.filter((role) => role !== 'archive' && role !== row['role']));
}

function eventColumns(session: Session, event: Row): Row {
  const { dedupe_day, identity, content_hash } = event;
  const settled: Record<string, unknown> = {};
  const conflicting: RoleName[] = [];
  const letters: RoleName[] = [];
  const decided: RoleName[] = otherRoles(session, event);
  const resubmitted: RoleName[] = [];
  for (const role of ROLES) {
    const content = keyText(role, dedupe_day, identity, content_hash);
    const entered = session.get('inbox', inboxKey(role, dedupe_day, identity));
    if (entered?.['content_hash'] === content_hash) settled[role] = entered?.['definition_version'];
    else if (entered !== null) conflicting.push(role);
    const state = session.get('dead_letters', content)?.['state'];
    if (state === 'open') letters.push(role);
    if (DECIDED.has(state)) decided.push(role);
    if (session.get('resubmissions_once', content) !== null) resubmitted.push(role);
  }
  return {
    ...{ player_id: event['player_id'], event_id: event['event_id'], identity, type: event['type'] },
    ...{ ts_ms: event['ts_ms'], payload: parsed(event['payload']) },
    ...{ settled, conflicting, letters, decided, resubmitted },
  };
}

function* events(session: Session, [gameId, players]: readonly unknown[]): Running<object[]> {
  const wanted = new Set(players as readonly unknown[]);
  return session
    .rows('events', (row) => row['game_id'] === gameId && wanted.has(row['player_id']))
    .map(({ row }) => eventColumns(session, row));
}

/** (ts_ms, identity) as one text in its order; a time of -1 is before all. */
const placeText = (tsMs: unknown, identity: unknown): string =>
  keyText(String((tsMs as number) + 1).padStart(16, '0'), String(identity).replaceAll('-', ''));

function* eventsOfOne(session: Session, values: readonly unknown[]): Running<object[]> {
  const [gameId, playerId, tsMs, identity, limit] = values;
  const after = placeText(tsMs, identity);
  const place = (row: Row): string => placeText(row['ts_ms'], row['identity']);
  const found = session.rows(
    'events',
    (row) => row['game_id'] === gameId && row['player_id'] === playerId && place(row) > after,
  );
  return orderedBy(found, ({ row }) => place(row))
    .slice(0, limit as number)
    .map(({ row }) => eventColumns(session, row));
}

/** The bytes of a jsonb as text, which has a space after each colon and comma. */
function bytesOf(value: unknown): number {
  if (Array.isArray(value))
    return 2 + Math.max(0, value.length - 1) * 2 + value.reduce((sum: number, one) => sum + bytesOf(one), 0);
  if (typeof value !== 'object' || value === null) return Buffer.byteLength(JSON.stringify(value));
  const entries = Object.entries(value);
  const parts = entries.map(([name, one]) => Buffer.byteLength(JSON.stringify(name)) + 2 + bytesOf(one));
  return 2 + Math.max(0, entries.length - 1) * 2 + parts.reduce((sum, part) => sum + part, 0);
}

function* weigh(session: Session, [gameId, players, limit]: readonly unknown[]): Running<object[]> {
  return (players as readonly string[]).map((playerId) => {
    const next = session
      .rows('events', (row) => row['game_id'] === gameId && row['player_id'] === playerId)
      .slice(0, limit as number);
    const bytes = next.reduce((sum, { row }) => sum + bytesOf(parsed(row['payload'])), 0);
    return { playerId, events: next.length, bytes };
  });
}

/** The rows of some players in a table. */
const ofPlayers = (table: string, columns: readonly string[], column = 'player_id') =>
  function* (session: Session, [gameId, players]: readonly unknown[]): Running<object[]> {
    const wanted = new Set(players as readonly unknown[]);
    const found = session.rows(table, (row) => row['game_id'] === gameId && wanted.has(row[column]));
    return orderedBy(found, ({ row }) => row[column] as string).map(({ row }) =>
      Object.fromEntries(columns.map((name) => [name, row[name]])),
    );
  };

const PROFILE_COLUMNS = ['player_id', 'first_seen_ms', 'last_seen_ms', 'events'];
const PROGRESS_COLUMNS = ['player_id', 'total_xp', 'level', 'definition_version', 'updated_at_ms'];
const LEDGER_COLUMNS = ['player_id', 'identity', 'ts_ms', 'delta_xp'];
const RECEIPT_COLUMNS = [
  ...['player_id', 'grant_key', 'receipt_id', 'reward', 'amount', 'ts_ms', 'event_id', 'src', 'jws'],
];
const SCORE_COLUMNS = [
  ...['board', 'cycle', 'partition', 'subject', 'score', 'reached_at', 'reached_id', 'revision'],
];

/** Rows that make room for a score hold nothing yet. */
function* scores(session: Session, values: readonly unknown[]): Running<object[]> {
  const rows = (yield* ofPlayers('board_scores', SCORE_COLUMNS, 'subject')(session, values)) as Row[];
  return rows
    .filter((row) => row['subject'] !== '')
    .filter(({ revision, score, reached_at }) => revision !== 0 || score !== 0 || reached_at !== 0)
    .map(({ revision: _, ...row }) => row);
}

const EVENTS = 'pkg/audit/events.postgres.ts';
const ROWS = 'pkg/audit/postgres.ts';

export const recountStatements: readonly Taught[] = [
  { name: `${EVENTS} EVENTS`, fingerprint: 'e21aa43e9729', meaning: events },
  { name: `${EVENTS} EVENTS_OF_ONE`, fingerprint: '6cae77b2752d', meaning: eventsOfOne },
  { name: 'pkg/audit/weigh.postgres.ts WEIGH', fingerprint: 'bda16877df17', meaning: weigh },
  {
    name: `${ROWS} PROFILES`,
    fingerprint: '3fe3f6c014f2',
    meaning: ofPlayers('player_profiles', PROFILE_COLUMNS),
  },
  {
    name: `${ROWS} PROGRESS`,
    fingerprint: 'bf90109a4998',
    meaning: ofPlayers('player_progress', PROGRESS_COLUMNS),
  },
  {
    name: `${ROWS} LEDGER`,
    fingerprint: 'fd7c17574605',
    meaning: ofPlayers('progress_events', LEDGER_COLUMNS),
  },
  { name: `${ROWS} RECEIPTS`, fingerprint: '6419e86c21d0', meaning: ofPlayers('receipts', RECEIPT_COLUMNS) },
  { name: `${ROWS} effectsOfPlayers`, fingerprint: '5f6908b0be06', meaning: scores },
];
