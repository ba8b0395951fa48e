import type { JsonObject } from '../contract/event.js';
import type { Board, GameDefinition } from '../games/port.js';

/** An event as the archive holds it, with the definition version it was admitted under. */
export interface ArchivedEvent {
  readonly playerId: string;
  readonly eventId: string;
  readonly type: string;
  readonly tsMs: number;
  readonly payload: JsonObject;
  readonly definition: GameDefinition;
}

export interface ExpectedScore {
  readonly board: string;
  readonly cycle: string;
  readonly partition: string;
  readonly subject: string;
  readonly score: number;
  readonly reachedAt: number;
}

export interface ExpectedProgress {
  readonly totalXp: number;
  readonly level: number;
  /** Whether every event was counted under one definition version: then the grants are known exactly. */
  readonly isOneVersion: boolean;
}

/** A grant that must or may stand, and the amounts that an event asked for. */
export interface ExpectedGrant {
  readonly grantKey: string;
  readonly amounts: ReadonlySet<number>;
}

const scoreId = (row: { board: string; cycle: string; partition: string; subject: string }): string =>
  [row.board, row.cycle, row.partition, row.subject].join('\u0000');

/**
 * Board rows from events alone: plain loops on purpose, sharing no line with the role's fold, so that a fault there is
 * seen here.
 */
export function recountScores(
  events: Iterable<ArchivedEvent>,
  wanted: (board: Board) => boolean,
): Map<string, ExpectedScore> {
  const groups = new Map<
    string,
    {
      board: Board;
      key: Omit<ExpectedScore, 'score' | 'reachedAt'>;
      facts: { value: number; tsMs: number; id: string }[];
    }
  >();
  for (const event of events) {
    for (const board of event.definition.boardsFor(event.type)) {
      if (!wanted(board) || !passes(board, event.payload)) continue;
      const value = board.valueField === null ? 1 : event.payload[board.valueField];
      const subject = board.subjectField === null ? event.playerId : event.payload[board.subjectField];
      const partition = board.partitionField === null ? '' : event.payload[board.partitionField];
      if (typeof value !== 'number' || typeof subject !== 'string' || typeof partition !== 'string') continue;
      for (const cycle of event.definition.cyclesOf(board, event.tsMs)) {
        const key = { board: board.name, cycle: cycle.key, partition, subject };
        const id = scoreId(key);
        const group = groups.get(id) ?? { board, key, facts: [] };
        group.facts.push({ value, tsMs: event.tsMs, id: event.eventId });
        groups.set(id, group);
      }
    }
  }
  const rows = new Map<string, ExpectedScore>();
  for (const [id, { board, key, facts }] of groups) rows.set(id, { ...key, ...aggregate(board, facts) });
  return rows;
}

const passes = (board: Board, payload: JsonObject): boolean =>
  [...board.filter].every(([field, allowed]) => allowed.includes(payload[field] ?? null));

function aggregate(
  board: Board,
  facts: readonly { value: number; tsMs: number; id: string }[],
): { score: number; reachedAt: number } {
  if (board.aggregate === 'sum') {
    const moving = facts.filter((fact) => fact.value !== 0).map((fact) => fact.tsMs);
    const score = facts.reduce((sum, fact) => sum + fact.value, 0);
    const times = facts.map((fact) => fact.tsMs);
    return { score, reachedAt: moving.length > 0 ? greatest(moving) : least(times) };
  }
  if (board.aggregate === 'last') {
    const sorted = [...facts].sort(
      (a, b) => a.tsMs - b.tsMs || Buffer.compare(Buffer.from(a.id), Buffer.from(b.id)),
    );
    const latest = sorted.at(-1);
    return { score: latest?.value ?? 0, reachedAt: latest?.tsMs ?? 0 };
  }
  const values = facts.map((fact) => fact.value);
  const score = board.aggregate === 'best' ? greatest(values) : least(values);
  return { score, reachedAt: least(facts.filter((fact) => fact.value === score).map((fact) => fact.tsMs)) };
}

// Not Math.max(...): a long history would overflow the stack.
const greatest = (numbers: readonly number[]): number => numbers.reduce((a, b) => (a > b ? a : b));
const least = (numbers: readonly number[]): number => numbers.reduce((a, b) => (a < b ? a : b));

/** XP and level of one player; null when nothing gives XP. */
export function recountProgress(events: Iterable<ArchivedEvent>): ExpectedProgress | null {
  let totalXp = 0;
  let latest: GameDefinition | null = null;
  const versions = new Set<number>();
  for (const event of events) {
    const { levels } = event.definition;
    versions.add(event.definition.version);
    if (levels === null || levels.eventType !== event.type) continue;
    const xp = event.payload[levels.xpField];
    if (typeof xp !== 'number') continue;
    totalXp += xp;
    if (latest === null || event.definition.version > latest.version) latest = event.definition;
  }
  if (latest?.levels == null) return null;
  return { totalXp, level: latest.levels.levelOf(totalXp), isOneVersion: versions.size === 1 };
}

/** The grants that the events of one player cause, with the amounts each event asked for. */
export function recountGrants(events: Iterable<ArchivedEvent>): Map<string, ExpectedGrant> {
  const grants = new Map<string, Set<number>>();
  const add = (grantKey: string, amount: number): void => {
    const amounts = grants.get(grantKey) ?? new Set<number>();
    grants.set(grantKey, amounts.add(amount));
  };
  const all = [...events];
  for (const event of all) {
    for (const rule of event.definition.rewards) {
      if (rule.eventType !== event.type) continue;
      const cause = event.payload[rule.causeField];
      const reward = 'fixed' in rule.reward ? rule.reward.fixed : event.payload[rule.reward.field];
      if (typeof cause !== 'string' || typeof reward !== 'string') continue;
      const asked = 'fixed' in rule.amount ? rule.amount.fixed : event.payload[rule.amount.field];
      const amount =
        typeof asked === 'number' ? asked : 'otherwise' in rule.amount ? rule.amount.otherwise : 1;
      add(rule.keyedByReward ? `${rule.causeName}:${cause}:${reward}` : `${rule.causeName}:${cause}`, amount);
    }
  }
  const progress = recountProgress(all);
  const definitions = new Map(all.map((event) => [event.definition.version, event.definition]));
  for (const { levels } of definitions.values()) {
    for (let level = 2; levels !== null && level <= (progress?.level ?? 1); level += 1) {
      for (const grant of levels.rewardsFor(level))
        add(`level:${String(level)}:${grant.reward}`, grant.amount);
    }
  }
  return new Map([...grants].map(([grantKey, amounts]) => [grantKey, { grantKey, amounts }]));
}
