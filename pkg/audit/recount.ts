import type { JsonObject, JsonValue } from '../contract/event.js';
import type { Board, GameDefinition } from '../games/port.js';

// Plain loops on purpose, sharing no line with the folds of the roles, so that a fault there is seen here.

/** An event as the archive holds it, with the definition version it was admitted under. */
export interface ArchivedEvent {
  readonly playerId: string;
  readonly eventId: string;
  readonly identity: string;
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
  /** The event that breaks ties of `last` and `sum`; '' for the others. */
  readonly reachedId: string;
}

export const scoreKey = (row: { board: string; cycle: string; partition: string; subject: string }): string =>
  [row.board, row.cycle, row.partition, row.subject].join('\u0000');

/** Rows of boards, counted event by event. Memory grows with the rows, not with the events. */
export class ScoreRecount {
  readonly rows = new Map<string, ExpectedScore>();

  constructor(private readonly isWanted: (board: Board) => boolean) {}

  add(event: ArchivedEvent): void {
    for (const board of event.definition.boardsFor(event.type)) {
      if (!this.isWanted(board) || !passes(board, event.payload)) continue;
      const value = board.valueField === null ? 1 : event.payload[board.valueField];
      const subject =
        board.subjectField === null ? event.playerId : textOf(event.payload[board.subjectField]);
      const partition = board.partitionField === null ? '' : textOf(event.payload[board.partitionField]);
      if (typeof value !== 'number' || subject === null || partition === null) continue;
      for (const cycle of event.definition.cyclesOf(board, event.tsMs)) {
        const key = { board: board.name, cycle: cycle.key, partition, subject };
        const id = scoreKey(key);
        this.rows.set(id, { ...key, ...counted(board, this.rows.get(id), value, event) });
      }
    }
  }
}

const textOf = (value: JsonValue | undefined): string | null =>
  typeof value === 'number' ? String(value) : typeof value === 'string' ? value : null;

const passes = (board: Board, payload: JsonObject): boolean =>
  [...board.filter].every(([field, allowed]) => {
    const value = payload[field];
    return value !== undefined && allowed.includes(value);
  });

type Standing = Pick<ExpectedScore, 'score' | 'reachedAt' | 'reachedId'>;

function counted(
  { aggregate }: Board,
  row: Standing | undefined,
  value: number,
  { tsMs, eventId }: ArchivedEvent,
): Standing {
  const alone = { score: value, reachedAt: tsMs, reachedId: '' };
  switch (aggregate) {
    case 'best':
    case 'min':
      if (row === undefined || (aggregate === 'best' ? value > row.score : value < row.score)) return alone;
      return value === row.score && tsMs < row.reachedAt ? alone : row;
    case 'last': {
      if (row === undefined) return { ...alone, reachedId: eventId };
      const order = tsMs - row.reachedAt || compareBytes(eventId, row.reachedId) || value - row.score;
      return order > 0 ? { ...alone, reachedId: eventId } : row;
    }
    case 'sum': {
      if (value === 0) {
        if (row === undefined) return alone;
        return row.reachedId === '' && tsMs < row.reachedAt ? { ...row, reachedAt: tsMs } : row;
      }
      const score = value + (row?.score ?? 0);
      const isLater =
        row === undefined ||
        row.reachedId === '' ||
        tsMs > row.reachedAt ||
        (tsMs === row.reachedAt && compareBytes(eventId, row.reachedId) > 0);
      return isLater ? { score, reachedAt: tsMs, reachedId: eventId } : { ...row, score };
    }
  }
}

const compareBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

export interface ExpectedProgress {
  readonly totalXp: number;
  readonly level: number;
  readonly updatedAtMs: number;
  readonly definitionVersion: number;
  /** By identity: the XP of each event that is about XP. */
  readonly ledger: ReadonlyMap<string, number>;
}

/** The progress of one player from the events that progression took; null when it took none. */
export function recountProgress(events: readonly ArchivedEvent[]): ExpectedProgress | null {
  const ledger = new Map<string, number>();
  let totalXp = 0;
  let updatedAtMs = 0;
  let newest: GameDefinition | null = null;
  for (const { identity, type, tsMs, payload, definition } of events) {
    if (newest === null || definition.version > newest.version) newest = definition;
    if (tsMs > updatedAtMs) updatedAtMs = tsMs;
    const xp = definition.levels?.eventType === type ? payload[definition.levels.xpField] : undefined;
    if (typeof xp !== 'number') continue;
    ledger.set(identity, xp);
    totalXp += xp;
  }
  if (newest === null) return null;
  const level = newest.levels === null ? 1 : newest.levels.levelOf(totalXp);
  return { totalXp, level, updatedAtMs, definitionVersion: newest.version, ledger };
}

/** A grant that the events cause. */
export interface ExpectedGrant {
  /** `<amount> <reward>`: what the events asked for; which of them came first decides. */
  readonly offers: ReadonlySet<string>;
  /** Whether it must stand: a level that not all versions pay alike may have been passed before the version came that pays. */
  readonly isDue: boolean;
}

export const offerOf = (amount: number, reward: string): string => `${String(amount)} ${reward}`;

/** The grants that the events of one player cause, by grant key. */
export function recountGrants(
  events: readonly ArchivedEvent[],
  totalXp: number,
): ReadonlyMap<string, ExpectedGrant> {
  const grants = new Map<string, { offers: Set<string>; isDue: boolean }>();
  const add = (grantKey: string, amount: number, reward: string, isDue: boolean): void => {
    const grant = grants.get(grantKey) ?? { offers: new Set(), isDue };
    grant.offers.add(offerOf(amount, reward));
    grants.set(grantKey, grant);
  };
  for (const event of events) {
    for (const rule of event.definition.rewards) {
      if (rule.eventType !== event.type) continue;
      const cause = event.payload[rule.causeField];
      const reward = 'fixed' in rule.reward ? rule.reward.fixed : event.payload[rule.reward.field];
      if (typeof cause !== 'string' || typeof reward !== 'string') continue;
      const key = `${rule.causeName}:${cause}`;
      add(rule.keyedByReward ? `${key}:${reward}` : key, amountOf(rule.amount, event.payload), reward, true);
    }
  }
  const versions = new Map(events.map(({ definition }) => [definition.version, definition]));
  const newest = versions.get(Math.max(...versions.keys()));
  const standsAt = newest?.levels?.levelOf(totalXp) ?? 1;
  // A level was passed under one of the versions, whichever: it must have been paid where each of them pays the same for it.
  const payAlike = (level: number, offer: string): boolean =>
    [...versions.values()].every(({ levels }) =>
      levels?.rewardsFor(level).some((paid) => offerOf(paid.amount, paid.reward) === offer),
    );
  for (const { levels } of versions.values()) {
    const reached = levels?.levelOf(totalXp) ?? 1;
    for (let level = 2; level <= reached; level += 1) {
      for (const { reward, amount } of levels?.rewardsFor(level) ?? []) {
        const isDue = level <= standsAt && payAlike(level, offerOf(amount, reward));
        add(`level:${String(level)}:${reward}`, amount, reward, isDue);
      }
    }
  }
  return grants;
}

function amountOf(rule: GameDefinition['rewards'][number]['amount'], payload: JsonObject): number {
  if ('fixed' in rule) return rule.fixed;
  const asked = payload[rule.field];
  return typeof asked === 'number' ? asked : rule.otherwise;
}
