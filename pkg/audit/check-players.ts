import type { GameDefinition } from '../games/port.js';
import { ROLES, type RoleName } from '../kernel/roles.js';
import type { Difference, DifferenceKind } from './difference.js';
import type { EventRow } from './events.postgres.js';
import type { PlayerRows, ProfileRow, ReceiptRow } from './postgres.js';
import {
  offerOf,
  recountGrants,
  recountProgress,
  ScoreRecount,
  scoreKey,
  type ArchivedEvent,
  type ExpectedScore,
} from './recount.js';
import type { ScoreRow } from './postgres.js';

/** Every version of a game. */
export type Definitions = ReadonlyMap<number, GameDefinition>;
export type Takes = (role: RoleName, definition: GameDefinition, type: string) => boolean;

/** Reads the version of an event. @throws when it was not loaded */
export function definitionOf(definitions: Definitions, version: number): GameDefinition {
  const definition = definitions.get(version);
  if (definition === undefined) throw new Error(`definition version ${String(version)} does not exist`);
  return definition;
}

export const groupBy = <T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> => {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group === undefined) groups.set(keyOf(item), [item]);
    else group.push(item);
  }
  return groups;
};

export interface Rules {
  readonly definitions: Definitions;
  readonly takes: Takes;
}

/** The events that took effect in a role: those of its inbox that it has work for, under the version they entered with. */
export const settledIn = (
  role: RoleName,
  rows: readonly EventRow[],
  { definitions, takes }: Rules,
): ArchivedEvent[] =>
  rows.flatMap((row) => {
    const version = row.settled[role];
    if (version === undefined || version === 0) return [];
    const definition = definitionOf(definitions, version);
    if (!takes(role, definition, row.type)) return [];
    return {
      playerId: row.player_id,
      eventId: row.event_id,
      identity: row.identity,
      type: row.type,
      tsMs: row.ts_ms,
      payload: row.payload,
      definition,
    };
  });

/**
 * The law of identities: what the archive has stands, for every role, in the inbox, or in a letter, or on its way beside
 * the bus, or somebody decided that it takes no effect there (docs/adr/0009).
 */
export function checkEvents(rows: readonly EventRow[]): Difference[] {
  const differences: Difference[] = [];
  const seen = new Set<string>();
  for (const row of rows) {
    const differs = (role: RoleName, expected: string, found: string): void => {
      const what = `event ${row.event_id}`;
      differences.push({ kind: 'event', role, subject: row.player_id, what, expected, found });
    };
    if (seen.has(row.identity)) differs('archive', 'archived once', 'archived twice');
    seen.add(row.identity);
    for (const role of ROLES) {
      const fault = placeFault(role, row);
      if (fault !== null) differs(role, ...fault);
    }
  }
  return differences;
}

/** What is wrong with the places that an event has in a role, as expected and found; null when nothing is. */
function placeFault(role: RoleName, row: EventRow): [string, string] | null {
  const version = row.settled[role];
  const isEffective = version !== undefined && version > 0;
  const isLetter = row.letters.includes(role);
  const isDecided = row.decided.includes(role);
  if (row.conflicting.includes(role))
    return ['this content', 'other content with the same identity took effect'];
  if (version === 0 && !isDecided) return ['an effect, or a decision against it', 'barred by no decision'];
  if (isEffective && isDecided) return ['no effect, as it was decided', 'it took effect'];
  if (version !== undefined && isLetter) return ['the inbox or an open dead letter', 'both of them'];
  if (version !== undefined || isLetter || isDecided || row.resubmitted.includes(role)) return null;
  return ['the inbox or an open dead letter', 'neither of them'];
}

export function checkProfile(profile: ProfileRow, events: readonly EventRow[]): Difference[] {
  const times = events.map((row) => row.ts_ms).sort((a, b) => a - b);
  const expected = `${String(events.length)} events, ${String(times[0])} to ${String(times.at(-1))}`;
  const found = `${String(profile.events)} events, ${String(profile.first_seen_ms)} to ${String(profile.last_seen_ms)}`;
  if (expected === found) return [];
  return [{ kind: 'profile', role: 'archive', subject: profile.player_id, what: 'profile', expected, found }];
}

type Fact = string | number | undefined;

/** XP, level, ledger and grants of one player. `rows` holds what is stored of the player. */
export function checkProgress(
  gameId: string,
  playerId: string,
  events: readonly ArchivedEvent[],
  rows: Pick<PlayerRows, 'progress' | 'ledger' | 'receipts'>,
): Difference[] {
  const differences: Difference[] = [];
  const compare = (kind: DifferenceKind, what: string, expected: Fact, found: Fact): void => {
    if (expected === found) return;
    const texts = { expected: String(expected ?? 'none'), found: String(found ?? 'none') };
    differences.push({ kind, role: 'progression', subject: playerId, what, ...texts });
  };
  const expected = recountProgress(events);
  const stored = rows.progress[0];
  compare('progress', 'XP', expected?.totalXp, stored?.total_xp);
  compare('progress', 'level', expected?.level, stored?.level);
  compare('progress', 'time of the last event', expected?.updatedAtMs, stored?.updated_at_ms);
  compare('progress', 'definition version', expected?.definitionVersion, stored?.definition_version);

  const byIdentity = new Map(events.map((event) => [event.identity, event]));
  const left = new Map(expected?.ledger);
  for (const row of rows.ledger) {
    const event = byIdentity.get(row.identity);
    const what = `event ${event?.eventId ?? row.identity}`;
    const xp = left.get(row.identity);
    left.delete(row.identity);
    const wanted =
      event === undefined || xp === undefined ? undefined : `${String(xp)} XP at ${String(event.tsMs)}`;
    compare('ledger', what, wanted, `${String(row.delta_xp)} XP at ${String(row.ts_ms)}`);
  }
  for (const [identity, xp] of left)
    compare(
      'ledger',
      `event ${byIdentity.get(identity)?.eventId ?? identity}`,
      `${String(xp)} XP`,
      undefined,
    );

  const grants = new Map(recountGrants(events, expected?.totalXp ?? 0));
  for (const row of rows.receipts) {
    const offer = offerOf(row.amount, row.reward);
    const offers = grants.get(row.grant_key)?.offers ?? new Set<string>();
    grants.delete(row.grant_key);
    if (!offers.has(offer)) compare('grant', row.grant_key, [...offers].join(' or ') || undefined, offer);
    for (const [name, said, kept] of receiptFaults(gameId, row))
      compare('receipt', `${row.grant_key} ${name}`, kept, said);
    const isItsEvent = events.some((event) => event.eventId === row.event_id && event.tsMs === row.ts_ms);
    if (!isItsEvent) compare('receipt', row.grant_key, 'the event that caused it', row.event_id);
  }
  for (const [grantKey, { offers, isDue }] of grants)
    if (isDue) compare('grant', grantKey, [...offers].join(' or '), undefined);
  return differences;
}

/** Where the signed text and the row are not the same: name, text, row. Signatures are for those who verify receipts. */
function receiptFaults(gameId: string, row: ReceiptRow): [string, string, string][] {
  const claims = claimsOf(row.jws);
  const kept = {
    aud: `game:${gameId}`,
    sub: row.player_id,
    jti: row.receipt_id,
    iat: Math.floor(row.ts_ms / 1000),
    reward: row.reward,
    amount: row.amount,
    cause: row.grant_key,
    src: row.src,
  };
  return Object.entries(kept)
    .filter(([name, value]) => claims[name] !== value)
    .map(([name, value]) => [name, String(claims[name]), String(value)]);
}

function claimsOf(jws: string): Readonly<Record<string, unknown>> {
  try {
    const claims: unknown = JSON.parse(Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString());
    return typeof claims === 'object' && claims !== null ? { ...claims } : {};
  } catch {
    return {}; // then every claim differs
  }
}

/** Scores of the boards that rank players. */
export function checkPlayerScores(
  events: readonly ArchivedEvent[],
  stored: readonly ScoreRow[],
  subjectBoards: ReadonlySet<string>,
): Difference[] {
  const recount = new ScoreRecount((board) => board.subjectField === null);
  for (const event of events) recount.add(event);
  const ofPlayers = stored.filter((row) => !subjectBoards.has(row.board));
  return compareScores(recount.rows, ofPlayers);
}

export function compareScores(
  expected: ReadonlyMap<string, ExpectedScore>,
  stored: readonly ScoreRow[],
): Difference[] {
  const differences: Difference[] = [];
  const left = new Map(expected);
  const differs = (row: ScoreRow | ExpectedScore, wanted: string, found: string): void => {
    const what = [row.board, row.cycle, row.partition].filter((word) => word !== '').join(' ');
    differences.push({
      kind: 'score',
      role: 'leaderboard',
      subject: row.subject,
      what,
      expected: wanted,
      found,
    });
  };
  const show = (score: number, reachedAt: number, reachedId: string): string =>
    `${String(score)} at ${String(reachedAt)}${reachedId === '' ? '' : ` by ${reachedId}`}`;
  for (const row of stored) {
    const wanted = left.get(scoreKey(row));
    left.delete(scoreKey(row));
    const found = show(row.score, row.reached_at, row.reached_id);
    const text = wanted === undefined ? 'none' : show(wanted.score, wanted.reachedAt, wanted.reachedId);
    if (text !== found) differs(row, text, found);
  }
  for (const row of left.values()) differs(row, show(row.score, row.reachedAt, row.reachedId), 'none');
  return differences;
}
