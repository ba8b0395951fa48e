import { pageOf, readCursor, type CursorPart } from '../../contract/keyset-page.js';
import { RequestProblem } from '../../http/request-problem.js';
import type { Database, Sql } from '../../postgres/port.js';
import type { dropLetters } from '../../worker/dead-letters/decisions.postgres.js';
import type { Letter, LetterFilter, LetterItem } from '../../worker/dead-letters/port.js';
import type {
  letterIds,
  listLetters,
  readLetter,
  recordAction,
  tallyLetters,
} from '../../worker/dead-letters/queries.postgres.js';
import type { progressOf, redriveLetters } from '../../worker/resubmissions/postgres.js';
import type { GameCall, GameRoutes } from '../api/routes.js';
import { found, instantOf, instantOrNull, pageAnswer, pageRequest, type Schemas } from './answers.js';
import { readAction } from './letter-actions.postgres.js';

export interface LetterParts {
  /** The dead letters as the workers keep them. Every statement runs where the API sees one game alone. */
  readonly letters: {
    readonly list: typeof listLetters;
    readonly tally: typeof tallyLetters;
    readonly read: typeof readLetter;
    readonly ids: typeof letterIds;
    readonly recordAction: typeof recordAction;
    readonly redrive: typeof redriveLetters;
    readonly progress: typeof progressOf;
    readonly drop: typeof dropLetters;
  };
  /** A store that opens transactions of its own, inside one that is open. */
  readonly databaseWithin: (sql: Sql) => Database;
}

type LetterOperation =
  | 'listDeadLetters'
  | 'tallyDeadLetters'
  | 'getDeadLetter'
  | 'getRedrive'
  | 'redriveDeadLetters'
  | 'dropDeadLetters';

/** What one request decides about; more of it is asked again. */
const DECIDED_MAX = 10_000;
const CHUNK = 500;

/** Events that could not take effect, and what people decide about them. */
export const letterRoutes = (parts: LetterParts): Pick<GameRoutes, LetterOperation> => ({
  listDeadLetters: async ({ gameId, query: { limit, cursor, ...filter }, read }) => {
    const page = pageRequest({ ...(limit && { limit }), ...(cursor && { cursor }) });
    const [beforeId] = readCursor(page.cursor, [isId, isAnything]) ?? [null];
    const rows = await read((sql) =>
      parts.letters.list(sql, filterOf(gameId, filter), {
        beforeId: beforeId === null ? null : Number(beforeId),
        limit: page.limit + 1,
      }),
    );
    return {
      status: 200,
      body: pageAnswer(
        pageOf(rows, page.limit, ({ id }) => [String(id), ''], itemOf),
        same,
      ),
    };
  },
  tallyDeadLetters: async ({ gameId, query, read }) => ({
    status: 200,
    body: { items: await read((sql) => parts.letters.tally(sql, filterOf(gameId, query))) },
  }),
  getDeadLetter: async ({ gameId, path, read }) => {
    const letter = found(await read((sql) => parts.letters.read(sql, path.letterId)));
    if (letter.gameId !== gameId) throw new RequestProblem('not_found');
    return { status: 200, body: letterOf(letter) };
  },
  getRedrive: async ({ gameId, path: { actionId }, read }) => ({
    status: 200,
    body: await read(async (sql) => {
      const action = found(await readAction(sql, gameId, actionId));
      return { ...action, ...(await parts.letters.progress(sql, actionId)) };
    }),
  }),
  redriveDeadLetters: async (call) => ({ status: 200, body: await redrive(call, parts) }),
  dropDeadLetters: async (call) => ({ status: 200, body: await drop(call, parts) }),
});

const isId: CursorPart = (text) => /^[1-9]\d{0,15}$/.test(text);
const isAnything: CursorPart = () => true;
const same = <T>(item: T): T => item;

type Filter = Pick<LetterFilter, 'role' | 'reason' | 'playerId' | 'state'> & {
  readonly since?: string | undefined;
  readonly before?: string | undefined;
};

const filterOf = (
  gameId: string,
  { since, before, role, reason, playerId, state }: Filter,
): LetterFilter => ({
  gameId,
  role,
  reason,
  playerId,
  state,
  sinceMs: since === undefined ? undefined : Date.parse(since),
  beforeMs: before === undefined ? undefined : Date.parse(before),
});

const itemOf = (item: LetterItem): Schemas['LetterItem'] => ({
  letterId: item.id,
  role: item.role,
  playerId: item.playerId,
  eventId: item.eventId,
  eventType: item.eventType,
  reason: item.reason,
  attempts: item.attempts,
  firstSeenAt: instantOf(item.firstSeenMs),
  lastSeenAt: instantOf(item.lastSeenMs),
  state: item.state,
});

const letterOf = (letter: Letter): Schemas['Letter'] => ({
  item: itemOf(letter),
  detail: letter.detail,
  body: letter.body,
  headers: { ...letter.headers },
  position: letter.position,
  codeVersion: letter.codeVersion,
  closedAt: instantOrNull(letter.closedMs),
  closedBy: letter.closedBy,
  closedWhy: letter.closedWhy,
  action:
    letter.action === null
      ? null
      : {
          actionId: letter.action.id,
          action: letter.action.action,
          by: letter.action.actor,
          why: letter.action.why,
          at: instantOf(letter.action.madeMs),
        },
  correctedBy: letter.correctedBy,
});

type Decision = Schemas['Redrive'];

/** The open letters that fit, oldest first, one more than is decided about at once. */
async function chosenBy(
  sql: Sql,
  gameId: string,
  { letterIds: ids, ...filter }: Decision['select'],
  { letters }: LetterParts,
): Promise<{ readonly ids: readonly number[]; readonly truncated: boolean }> {
  const wanted = { ...filterOf(gameId, filter), state: 'open' as const, ids };
  const chosen = await letters.ids(sql, wanted, {
    afterId: 0,
    upToId: Number.MAX_SAFE_INTEGER,
    limit: DECIDED_MAX + 1,
  });
  return { ids: chosen.slice(0, DECIDED_MAX), truncated: chosen.length > DECIDED_MAX };
}

/** What was asked for, flat, as the audit log keeps it. */
const detailsOf = ({ letterIds: ids, ...filter }: Decision['select']): Record<string, string | number> => ({
  ...filter,
  ...(ids === undefined ? {} : { letterIds: ids.slice(0, 20).join(' ') }),
});

function refuseEverything({ select }: Decision): void {
  if (Object.keys(select).length === 0) throw new RequestProblem('nothing_selected', { pointer: '/select' });
}

async function redrive(
  { gameId, body, person, read, change }: GameCall<'redriveDeadLetters'>,
  parts: LetterParts,
): Promise<Schemas['RedriveAnswer']> {
  const { dryRun, reason, select } = body;
  refuseEverything(body);
  if (dryRun) {
    const { ids, truncated } = await read((sql) => chosenBy(sql, gameId, select, parts));
    return { dryRun, letters: ids.length, sent: 0, actionId: null, truncated };
  }
  return change(async ({ sql, audit }) => {
    const { ids, truncated } = await chosenBy(sql, gameId, select, parts);
    const decision = { actor: person.username, why: reason };
    const actionId = await parts.letters.recordAction(sql, 'redrive', decision, { gameId, ...select });
    let sent = 0;
    for (const chunk of chunksOf(ids)) sent += await parts.letters.redrive(sql, chunk, actionId);
    if (sent === 0) throw new RequestProblem('nothing_taken');
    const details = { ...detailsOf(select), letters: ids.length, sent, actionId };
    audit({ action: 'letters.redrive', subject: `action ${String(actionId)}`, reason, details });
    return { dryRun, letters: ids.length, sent, actionId, truncated };
  });
}

async function drop(
  { gameId, body, person, read, change }: GameCall<'dropDeadLetters'>,
  parts: LetterParts,
): Promise<Schemas['DropAnswer']> {
  const { dryRun, reason, select } = body;
  refuseEverything(body);
  if (dryRun) {
    const { ids, truncated } = await read((sql) => chosenBy(sql, gameId, select, parts));
    return { dryRun, letters: ids.length, dropped: 0, applied: 0, truncated };
  }
  return change(async ({ sql, audit }) => {
    const { ids, truncated } = await chosenBy(sql, gameId, select, parts);
    const decision = { actor: person.username, why: reason };
    const actionId = await parts.letters.recordAction(sql, 'drop', decision, { gameId, ...select });
    const sums = { dropped: 0, applied: 0 };
    let kept = 0;
    for (const chunk of chunksOf(ids)) {
      const drop = { ids: chunk, isOnItsWayToo: false, actionId, decision };
      const done = await parts.letters.drop(parts.databaseWithin(sql), drop);
      sums.dropped += done.dropped;
      sums.applied += done.applied;
      kept += done.kept;
    }
    if (sums.dropped + sums.applied === 0) throw new RequestProblem('nothing_taken');
    const details = { ...detailsOf(select), letters: ids.length, ...sums, kept, actionId };
    audit({ action: 'letters.drop', subject: `action ${String(actionId)}`, reason, details });
    return { dryRun, letters: ids.length, ...sums, truncated };
  });
}

function* chunksOf(ids: readonly number[]): Generator<readonly number[]> {
  for (let start = 0; start < ids.length; start += CHUNK) yield ids.slice(start, start + CHUNK);
}
