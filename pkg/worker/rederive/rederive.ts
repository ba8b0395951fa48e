import type { Clock } from '../../kernel/clock.js';
import { PoisonError } from '../../kernel/errors.js';
import { laneOf } from '../../kernel/lanes.js';
import type { Database, Sql } from '../../postgres/port.js';
import { retryTransient } from '../inbox/postgres.js';
import type { PlayerRef, Rederivation, RoleEvent } from '../port.js';
import { admittedEventOf } from '../reconcile/archived-event.js';
import { STRANGERS_MAX } from './outstanding.js';
import type { Outstanding, Recounted, RederiveDeps, Verdict } from './port.js';
import { holdArchive, settledOf, stillStrange, strangersOf, type SettledRow } from './postgres.js';

/** A player with more events is left to people: they would be locked for too long. */
const PLAYER_EVENTS_MAX = 200_000;
/** How long the rows stay locked for the archive to store what it is behind with. */
const ARCHIVE_WAIT_MS = 1_500;
const ARCHIVE_LOOK_MS = 50;
const ATTEMPTS_MAX = 3;

/**
 * Makes the effects of one role on one player again from the archive joined with the role's inbox, where they are wrong.
 *
 * What the role commits before the rows are locked is read after them; what it commits later waited for the rows and adds
 * to them. What it counted and the archive has not stored yet is waited for a moment, under the lock, which keeps such
 * events from becoming more; if it does not come the player is left as it is (`moving`), so nothing is ever lowered for an
 * event that is on its way. What the role's fold makes is held against `recount` before it is committed.
 *
 * @param isDryRun the same, rolled back
 * @throws OutageError
 */
export async function rederivePlayer<State>(
  rederivation: Rederivation<State>,
  player: PlayerRef,
  outstanding: Outstanding,
  deps: RederiveDeps,
  isDryRun = false,
): Promise<Verdict> {
  const { clock, random } = deps;
  const attempt = (): Promise<Verdict | Uncovered> =>
    undoneUnlessRepaired(deps.db, (sql) =>
      rederiveIn(sql, rederivation, player, outstanding, deps, isDryRun),
    );
  const onRetry = (): void => undefined; // the verdict tells how it ended
  for (let attempts = 0; attempts < ATTEMPTS_MAX; attempts += 1) {
    const verdict = await retryTransient(attempt, { clock, random, onRetry });
    if (verdict.kind === 'uncovered') continue;
    if (verdict.kind === 'repaired') await rederivation.refresh?.(player);
    return verdict;
  }
  return { kind: 'moving' };
}

/** An event that made other rows than those that were known came before the lock. */
interface Uncovered {
  readonly kind: 'uncovered';
}

/** Carries a verdict out of a transaction that must leave nothing behind. */
class Undone extends Error {
  constructor(readonly verdict: Verdict | Uncovered) {
    super('undone');
  }
}

/** Runs a transaction that leaves nothing behind unless something was repaired in it. */
export async function undoneUnlessRepaired(
  db: Database,
  work: (sql: Sql) => Promise<Verdict | Uncovered>,
): Promise<Verdict | Uncovered> {
  try {
    return await db.transaction(async (sql) => {
      const verdict = await work(sql);
      if (verdict.kind !== 'repaired') throw new Undone(verdict);
      return verdict;
    });
  } catch (error) {
    if (error instanceof Undone) return error.verdict;
    throw error;
  }
}

async function rederiveIn<State>(
  sql: Sql,
  rederivation: Rederivation<State>,
  player: PlayerRef,
  outstanding: Outstanding,
  deps: RederiveDeps,
  isDryRun: boolean,
): Promise<Verdict | Uncovered> {
  const { role } = rederivation;
  const recount = async (): Promise<Recounted> => {
    const found = (await deps.recount(sql, role, player.gameId, [player.playerId])).get(player.playerId);
    if (found === undefined) throw new Error('a player was not recounted');
    return found;
  };
  // Read before the lock only to know which rows there will be: what counts is read after it.
  const before = await eventsOf(sql, rederivation, player, deps);
  if ('kind' in before) return before;
  const state = await rederivation.lock(sql, player, before.events);
  const first = await recount();
  if (first.unread !== null) return { kind: 'unread', why: first.unread };
  if (first.wrong.length === 0 && first.kept.length === 0) return { kind: 'exact', kept: [] };
  const owed = await awaitArchive(sql, player, outstanding, deps.clock);
  if (owed !== null) return owed;
  await holdArchive(sql, player);
  const after = await eventsOf(sql, rederivation, player, deps);
  if ('kind' in after) return after;
  if (!rederivation.covers(state, after.events)) return { kind: 'uncovered' };
  const { wrong, kept, unfit } = await recount();
  if (wrong.length === 0) return { kind: 'exact', kept };
  const [fault] = unfit;
  if (fault !== undefined)
    return blocked(`${fault.what}: ${fault.expected} expected, ${fault.found} found in the archive`);
  try {
    await rederivation.save(sql, player, state, after.events);
  } catch (error) {
    if (error instanceof PoisonError) return blocked(error.message);
    throw error;
  }
  const [left] = (await recount()).wrong;
  // A row that was made since the lock is nobody's here, and a recount reads events and rows one after the other.
  const now = await eventsOf(sql, rederivation, player, deps);
  if ('kind' in now) return now;
  if (now.events.length !== after.events.length) return { kind: 'uncovered' };
  if (left !== undefined)
    return blocked(`${left.what}: the recount says ${left.expected}, the role makes ${left.found}`);
  return { kind: isDryRun ? 'wrong' : 'repaired', wrong, kept };
}

const blocked = (why: string): Verdict => ({ kind: 'blocked', why });

/** What the role took of the player's archived events, each under the version it entered with; or why that cannot be told. */
async function eventsOf(
  sql: Sql,
  { role, takes }: Pick<Rederivation<unknown>, 'role' | 'takes'>,
  player: PlayerRef,
  { definitions }: Pick<RederiveDeps, 'definitions'>,
): Promise<Verdict | { readonly events: readonly RoleEvent[] }> {
  const rows = await settledOf(sql, role, player, PLAYER_EVENTS_MAX + 1);
  const why = unfitness(rows);
  if (why !== null) return blocked(why);
  const events: RoleEvent[] = [];
  for (const row of rows) {
    if (row.enteredUnder === null || row.enteredUnder === 0) continue;
    const definition = await definitions.version(player.gameId, row.enteredUnder);
    if (!takes(definition, row.type, definition.eventTypes.has(row.type))) continue;
    events.push({ event: { ...admittedEventOf(row), definitionVersion: row.enteredUnder }, definition });
  }
  return { events };
}

function unfitness(rows: readonly SettledRow[]): string | null {
  if (rows.length > PLAYER_EVENTS_MAX) return `the player has more than ${String(PLAYER_EVENTS_MAX)} events`;
  const seen = new Set<string>();
  for (const { id, identity, dedupeDay, enteredUnder, isSameContent, isBelowFloor } of rows) {
    if (seen.has(identity + dedupeDay)) return `event ${id} is archived twice`;
    seen.add(identity + dedupeDay);
    if (!isSameContent && enteredUnder !== 0)
      return `event ${id} took effect with other content than is archived`;
    if (enteredUnder === null && isBelowFloor) return `whether event ${id} took effect is not known any more`;
  }
  return null;
}

/** Waits, under the lock, until the archive has what the role counted of the player. null when it does. */
async function awaitArchive(
  sql: Sql,
  player: PlayerRef,
  { role, gameId, unseenSinceMs, strangers }: Outstanding,
  clock: Clock,
): Promise<Verdict | null> {
  const lane = laneOf(player.gameId, player.playerId);
  const lately = await strangersOf(sql, role, gameId, [lane], unseenSinceMs, STRANGERS_MAX);
  if (lately.length === STRANGERS_MAX) return { kind: 'moving' };
  const possible = [...strangers.filter((one) => one.lane === lane), ...lately];
  const giveUpAtMs = clock.monotonicMs() + ARCHIVE_WAIT_MS;
  for (;;) {
    const owners = await stillStrange(sql, possible, player);
    const ofPlayer = owners.find(
      ({ letterOf, isOtherContent, isPlayers }) =>
        letterOf === player.playerId || (isOtherContent && isPlayers),
    );
    if (ofPlayer !== undefined)
      return blocked(`an event (${ofPlayer.identity}) took effect that the archive does not have`);
    const unknown = owners.filter(
      ({ letterOf, resubmissionOf, isOtherContent }) =>
        resubmissionOf === player.playerId ||
        (letterOf === null && resubmissionOf === null && !isOtherContent),
    );
    if (unknown.length === 0) return null;
    if (clock.monotonicMs() >= giveUpAtMs) return { kind: 'moving' };
    await clock.sleep(ARCHIVE_LOOK_MS);
  }
}
