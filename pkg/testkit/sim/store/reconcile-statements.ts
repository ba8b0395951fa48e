import { keyText, type Taught } from './meaning.js';
import type { Row } from './rows.js';
import type { Running, Session } from './session.js';
import { inboxKey } from './worker-statements.js';

const DECIDED: ReadonlySet<unknown> = new Set(['open', 'dropped', 'corrected']);

/** LACKING: what was archived in a slice and a role has neither entered, nor in a letter somebody decides about, nor on its way. */
function lacking(session: Session, values: readonly unknown[]): Row[] {
  const [role, fromMs, toMs, gameId] = values;
  return session
    .rows('events', (event) => {
      const { game_id, dedupe_day, identity, content_hash, archived_at } = event;
      if ((archived_at as number) <= (fromMs as number) || (archived_at as number) > (toMs as number))
        return false;
      if (gameId !== null && game_id !== gameId) return false;
      const game = session.get('games', game_id as string);
      if (game === null || (game['dedupe_floor'] as string) > (dedupe_day as string)) return false;
      if (session.get('inbox', inboxKey(role, dedupe_day, identity)) !== null) return false;
      const letter = session.get('dead_letters', keyText(role, dedupe_day, identity, content_hash));
      if (letter !== null && DECIDED.has(letter['state'])) return false;
      return session.get('resubmissions_once', keyText(role, dedupe_day, identity, content_hash)) === null;
    })
    .map(({ row }) => row);
}

export const parsed = (value: unknown): unknown =>
  typeof value === 'string' ? (JSON.parse(value) as unknown) : value;

/** ARCHIVED_COLUMNS of a row of the archive. */
export const archivedColumns = (row: Row): Row => ({
  ...{ gameId: row['game_id'], playerId: row['player_id'], id: row['event_id'], type: row['type'] },
  ...{ tsMs: row['ts_ms'], payload: parsed(row['payload']), identity: row['identity'] },
  ...{ dedupeDay: row['dedupe_day'], contentHash: row['content_hash'], receivedAtMs: row['received_at_ms'] },
  ...{ src: row['src'], keyId: row['key_id'], definitionVersion: row['definition_version'] },
  ...{ schemaVersion: row['schema_version'] ?? null, context: parsed(row['context'] ?? null) },
});

function* lackingOf(session: Session, values: readonly unknown[]): Running<object[]> {
  return lacking(session, values)
    .slice(0, values[4] as number)
    .map(archivedColumns);
}

function* now(session: Session): Running<object[]> {
  return [{ now: session.beganAtMs }];
}

function* hold(session: Session, [role]: readonly unknown[]): Running<object[]> {
  return [{ held: session.tryAdvisory(keyText('fairtally.reconcile', role)) }];
}

function* through(session: Session, [role]: readonly unknown[]): Running<object[]> {
  const row = session.get('reconciled', role as string);
  return row === null ? [] : [{ ms: row['through'] }];
}

function* setThrough(session: Session, [role, ms]: readonly unknown[]): Running<object[]> {
  yield* session.upsert('reconciled', role as string, { role, through: ms }, (row) => ({
    ...row,
    through: ms,
  }));
  return [];
}

const FILE = 'pkg/worker/reconcile/postgres.ts';

export const reconcileStatements: readonly Taught[] = [
  { name: `${FILE} READ`, fingerprint: '1665edace348', meaning: lackingOf },
  { name: `${FILE} databaseNow`, fingerprint: 'e63c29943dcb', meaning: now },
  { name: `${FILE} holdReconciler`, fingerprint: '157a28b73c0f', meaning: hold },
  { name: `${FILE} reconciledThrough`, fingerprint: '589674312f1c', meaning: through },
  { name: `${FILE} setReconciledThrough`, fingerprint: '218fd198e95d', meaning: setThrough },
];
