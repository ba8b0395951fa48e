import type { DefinitionSource, GameDefinition } from '../games/port.js';
import type { Clock } from '../kernel/clock.js';
import type { RoleName } from '../kernel/roles.js';
import type { Database, Sql } from '../postgres/port.js';
import * as store from './postgres.js';
import { recountGrants, recountProgress, recountScores, type ArchivedEvent } from './recount.js';

/** One thing that is not as it must be. */
export interface Difference {
  /** missing | stranger | both | progress | ledger | grant | score | finding | counters | view */
  readonly kind: string;
  readonly role: RoleName | 'view';
  /** The player, board subject or identity it is about. */
  readonly subject: string;
  readonly expected: string;
  readonly found: string;
}

export interface AuditResult {
  readonly players: number;
  readonly events: number;
  readonly differences: readonly Difference[];
}

/** Compares the truth of some subjects with the Redis view where revisions are equal; absent when there is no Redis. */
export type ViewCheck = (gameId: string, players: readonly string[]) => Promise<readonly Difference[]>;

export type FindingsRerun = (
  samples: readonly { sampleNo: number; judged: number; definitionVersion: number }[],
  metric: string,
  definitionOf: (version: number) => GameDefinition,
) => readonly { sampleNo: number; z: number }[];

export interface AuditDeps {
  readonly db: Database;
  readonly definitions: DefinitionSource;
  readonly clock: Clock;
  /** Which roles take an event type; the same rule that dispatch uses. */
  readonly takes: (role: RoleName, definition: GameDefinition, type: string) => boolean;
  readonly rerunFindings: FindingsRerun;
  readonly checkView?: ViewCheck;
  readonly onProgress?: (players: number, differences: number) => void;
}

const PAGE_PLAYERS = 200;
const SECOND_LOOKS = 5;
const SECOND_LOOK_AFTER_MS = 400;
const DIFFERENCES_MAX = 10_000;
const AUDITED_ROLES = ['progression', 'leaderboard', 'fairness'] as const;

/**
 * Compares the archive, joined with each role's inbox, with what the roles wrote, one page of players per REPEATABLE READ
 * snapshot. A player whose events are still on their way differs for a moment and is looked at again before it counts.
 */
export async function auditGame(gameId: string, deps: AuditDeps): Promise<AuditResult> {
  const differences: Difference[] = [];
  let players = 0;
  let events = 0;
  for (let after = ''; differences.length < DIFFERENCES_MAX;) {
    const page = await store.playersPage(deps.db, gameId, after, PAGE_PLAYERS);
    if (page.length === 0) break;
    const found = await settle(page, (some) => auditPlayers(gameId, some, deps), deps.clock);
    differences.push(...found.differences);
    players += page.length;
    events += found.events;
    after = page.at(-1) ?? after;
    deps.onProgress?.(players, differences.length);
  }
  differences.push(...(await auditWhole(gameId, deps)));
  return { players, events, differences };
}

interface PageResult {
  readonly events: number;
  readonly differences: readonly Difference[];
}

async function settle(
  page: readonly string[],
  look: (players: readonly string[]) => Promise<PageResult>,
  clock: Clock,
): Promise<PageResult> {
  let result = await look(page);
  const { events } = result;
  for (let again = 0; again < SECOND_LOOKS && result.differences.length > 0; again += 1) {
    await clock.sleep(SECOND_LOOK_AFTER_MS);
    const moving = [...new Set(result.differences.map((difference) => difference.subject))].filter(
      (subject) => page.includes(subject),
    );
    result = await look(moving);
  }
  return { events, differences: result.differences };
}

async function auditPlayers(
  gameId: string,
  players: readonly string[],
  deps: AuditDeps,
): Promise<PageResult> {
  const result = await deps.db.transaction(
    async (sql) => {
      const rows = await store.eventsOf(sql, gameId, players);
      const definitions = await definitionsOf(gameId, rows, deps);
      const byPlayer = groupBy(rows, (row) => row.player_id);
      const differences = [
        ...rows.flatMap((row) => auditIdentity(row, definitions, deps)),
        ...(await auditProgress(sql, gameId, players, byPlayer, definitions)),
        ...(await auditScores(sql, gameId, players, rows, definitions)),
        ...(await auditFindings(sql, gameId, players, definitions, deps)),
      ];
      return { events: rows.length, differences };
    },
    { isolation: 'repeatable read', readOnly: true },
  );
  const view = (await deps.checkView?.(gameId, players)) ?? [];
  return { events: result.events, differences: [...result.differences, ...view] };
}

type Definitions = ReadonlyMap<number, GameDefinition>;

async function definitionsOf(
  gameId: string,
  rows: readonly store.AuditedEventRow[],
  deps: AuditDeps,
): Promise<Definitions> {
  const versions = new Set(rows.map((row) => row.definition_version));
  const loaded = await Promise.all([...versions].map((version) => deps.definitions.version(gameId, version)));
  return new Map(loaded.map((definition) => [definition.version, definition]));
}

function definitionOf(definitions: Definitions, version: number): GameDefinition {
  const definition = definitions.get(version);
  if (definition === undefined) throw new Error(`definition version ${String(version)} was not loaded`);
  return definition;
}

/** The law of identities: what the archive has is, for each role that takes it, in the inbox or an open letter, never in both. */
function auditIdentity(row: store.AuditedEventRow, definitions: Definitions, deps: AuditDeps): Difference[] {
  return AUDITED_ROLES.flatMap((role) => {
    if (!deps.takes(role, definitionOf(definitions, row.definition_version), row.type)) return [];
    const isSettled = row.settled?.includes(role) === true;
    const isLetter = row.letters?.includes(role) === true;
    if (isSettled !== isLetter) return [];
    const found = isSettled ? 'inbox and open dead letter' : 'neither';
    return [
      {
        kind: isSettled ? 'both' : 'missing',
        role,
        subject: row.player_id,
        expected: `event ${row.event_id} in the inbox or an open dead letter`,
        found,
      },
    ];
  });
}

const settledBy = (
  role: RoleName,
  rows: readonly store.AuditedEventRow[],
  definitions: Definitions,
): ArchivedEvent[] =>
  rows
    .filter((row) => row.settled?.includes(role) === true)
    .map((row) => ({
      playerId: row.player_id,
      eventId: row.event_id,
      type: row.type,
      tsMs: row.ts_ms,
      payload: row.payload,
      definition: definitionOf(definitions, row.definition_version),
    }));

async function auditProgress(
  sql: Sql,
  gameId: string,
  players: readonly string[],
  byPlayer: ReadonlyMap<string, readonly store.AuditedEventRow[]>,
  definitions: Definitions,
): Promise<Difference[]> {
  const stored = new Map((await store.progressOf(sql, gameId, players)).map((row) => [row.player_id, row]));
  const grants = groupBy(await store.grantsOf(sql, gameId, players), (row) => row.player_id);
  return players.flatMap((playerId) => {
    const events = settledBy('progression', byPlayer.get(playerId) ?? [], definitions);
    const expected = recountProgress(events);
    const row = stored.get(playerId);
    const differs = (kind: string, wanted: unknown, found: unknown): Difference => ({
      kind,
      role: 'progression',
      subject: playerId,
      expected: String(wanted),
      found: String(found),
    });
    const differences: Difference[] = [];
    const totals = { xp: expected?.totalXp ?? 0, level: expected?.level ?? 1 };
    if (totals.xp !== (row?.total_xp ?? 0))
      differences.push(differs('progress', `${String(totals.xp)} XP`, `${String(row?.total_xp ?? 0)} XP`));
    if (expected !== null && totals.level !== (row?.level ?? 1))
      differences.push(
        differs('progress', `level ${String(totals.level)}`, `level ${String(row?.level ?? 1)}`),
      );
    if ((row?.ledger ?? 0) !== totals.xp) differences.push(differs('ledger', totals.xp, row?.ledger ?? 0));

    const wanted = recountGrants(events);
    const held = new Map((grants.get(playerId) ?? []).map((grant) => [grant.grant_key, grant.amount]));
    // Under several versions a level may have been reached before a later version added a reward to it.
    const isExact = new Set(events.map((event) => event.definition.version)).size <= 1;
    for (const [grantKey, grant] of wanted) {
      const amount = held.get(grantKey);
      if (amount === undefined ? isExact || !grantKey.startsWith('level:') : !grant.amounts.has(amount)) {
        differences.push(
          differs('grant', `${grantKey} ${[...grant.amounts].join(' or ')}`, amount ?? 'none'),
        );
      }
    }
    for (const grantKey of held.keys())
      if (!wanted.has(grantKey)) differences.push(differs('grant', `no ${grantKey}`, held.get(grantKey)));
    return differences;
  });
}

async function auditScores(
  sql: Sql,
  gameId: string,
  players: readonly string[],
  rows: readonly store.AuditedEventRow[],
  definitions: Definitions,
): Promise<Difference[]> {
  const boards = new Set(
    [...definitions.values()]
      .flatMap((definition) => [...definition.boards.values()])
      .filter((board) => board.subjectField === null)
      .map((board) => board.name),
  );
  const stored = await store.scoresOf(sql, gameId, [...boards], players);
  const expected = recountScores(
    settledBy('leaderboard', rows, definitions),
    (board) => board.subjectField === null,
  );
  return compareScores(expected, stored);
}

function compareScores(
  expected: ReturnType<typeof recountScores>,
  stored: readonly store.ScoreRow[],
): Difference[] {
  const differences: Difference[] = [];
  const left = new Map(expected);
  const differs = (
    row: { board: string; cycle: string; partition: string; subject: string },
    wanted: string,
    found: string,
  ): void => {
    const place = `${row.board} ${row.cycle}${row.partition === '' ? '' : ` ${row.partition}`}`;
    differences.push({
      kind: 'score',
      role: 'leaderboard',
      subject: row.subject,
      expected: `${place}: ${wanted}`,
      found,
    });
  };
  const show = (score: number, reachedAt: number): string => `${String(score)} at ${String(reachedAt)}`;
  for (const row of stored) {
    const id = [row.board, row.cycle, row.partition, row.subject].join('\u0000');
    const wanted = left.get(id);
    left.delete(id);
    const found = show(row.score, row.reached_at);
    if (wanted === undefined) differs(row, 'no row', found);
    else if (show(wanted.score, wanted.reachedAt) !== found)
      differs(row, show(wanted.score, wanted.reachedAt), found);
  }
  for (const row of left.values()) differs(row, show(row.score, row.reachedAt), 'no row');
  return differences;
}

async function auditFindings(
  sql: Sql,
  gameId: string,
  players: readonly string[],
  definitions: Definitions,
  deps: AuditDeps,
): Promise<Difference[]> {
  const samples = groupBy(await store.samplesOf(sql, gameId, players), (row) =>
    [row.player_id, row.metric, row.partition].join('\u0000'),
  );
  const found = new Set(
    (await store.findingsOf(sql, gameId, players)).map((row) =>
      [row.player_id, row.metric, row.partition, row.sample_no, row.z].join('\u0000'),
    ),
  );
  const differences: Difference[] = [];
  const differs = (id: string, expected: string, seen: string): void => {
    differences.push({
      kind: 'finding',
      role: 'fairness',
      subject: id.split('\u0000')[0] ?? '',
      expected,
      found: seen,
    });
  };
  for (const [id, series] of samples) {
    const ordered = series.map((row) => ({
      sampleNo: row.sample_no,
      judged: row.value,
      definitionVersion: row.definition_version,
    }));
    for (const finding of deps.rerunFindings(ordered, series[0]?.metric ?? '', (version) =>
      definitionOf(definitions, version),
    )) {
      const key = [id, finding.sampleNo, finding.z].join('\u0000');
      if (!found.delete(key)) differs(id, `finding at sample ${String(finding.sampleNo)}`, 'none');
    }
  }
  for (const key of found) differs(key, 'no finding', key.replaceAll('\u0000', ' '));
  return differences;
}

/** What no page of players can show: effects without an archived event, boards that rank something else, the counters. */
async function auditWhole(gameId: string, deps: AuditDeps): Promise<Difference[]> {
  for (let look = 0; ; look += 1) {
    const differences = await lookAtWhole(gameId, deps);
    if (differences.length === 0 || look >= SECOND_LOOKS) return differences;
    await deps.clock.sleep(SECOND_LOOK_AFTER_MS);
  }
}

async function lookAtWhole(gameId: string, deps: AuditDeps): Promise<Difference[]> {
  return deps.db.transaction(
    async (sql) => {
      const strangers = await store.strangersOf(sql, gameId);
      const counters = await store.countersOf(sql);
      return [
        ...strangers.map((row) => ({
          kind: 'stranger',
          role: row.role,
          subject: row.identity,
          expected: 'an archived event',
          found: 'an inbox row alone',
        })),
        ...counters
          .filter((row) => row.delivered !== row.settled)
          .map((row) => ({
            kind: 'counters',
            role: row.role,
            subject: row.role,
            expected: `${String(row.delivered)} delivered`,
            found: `${String(row.settled)} settled`,
          })),
        ...(await auditSubjectBoards(sql, gameId, deps)),
      ];
    },
    { isolation: 'repeatable read', readOnly: true },
  );
}

/** Boards that rank a payload field gather many players, so they are recounted over the whole archive; memory grows with their subjects. */
async function auditSubjectBoards(sql: Sql, gameId: string, deps: AuditDeps): Promise<Difference[]> {
  const current = await deps.definitions.inForce(gameId, deps.clock.now());
  const boards = [...(current?.boards.values() ?? [])].filter((board) => board.subjectField !== null);
  if (boards.length === 0) return [];
  const events: ArchivedEvent[] = [];
  for (let after = ''; ;) {
    const page = await store.playersPage(sql, gameId, after, PAGE_PLAYERS);
    if (page.length === 0) break;
    const rows = await store.eventsOf(sql, gameId, page);
    events.push(...settledBy('leaderboard', rows, await definitionsOf(gameId, rows, deps)));
    after = page.at(-1) ?? after;
  }
  const names = new Set(boards.map((board) => board.name));
  const expected = recountScores(events, (board) => names.has(board.name));
  return compareScores(expected, await store.scoresOfBoards(sql, gameId, [...names]));
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}
