import { createCycles } from '../games/cycles.js';
import { sqrtCurve } from '../games/levels.js';
import type {
  Board,
  BoardWindow,
  EventReward,
  EventType,
  GameDefinition,
  Levels,
  RewardGrant,
} from '../games/port.js';

const DAY_MS = 86_400_000;

/** The level rewards of the sample game: coins for every level, a chest for every tenth. */
export function sampleLevelRewards(level: number): readonly RewardGrant[] {
  const coins = { reward: 'coins', amount: 100 * level };
  return level % 10 === 0 ? [coins, { reward: 'chest', amount: 1 }] : [coins];
}

/** floor(sqrt(totalXp / divisor)) + 1, at most maxLevel, fed by `progression.deltaXp`. */
export function testLevels(
  divisor = 100,
  maxLevel = 100,
  rewardsFor: Levels['rewardsFor'] = sampleLevelRewards,
): Levels {
  return { eventType: 'progression', xpField: 'deltaXp', ...sqrtCurve(divisor, maxLevel), rewardsFor };
}

export const bossTrophy: EventReward = {
  eventType: 'boss_kill',
  causeName: 'boss',
  causeField: 'bossId',
  reward: { fixed: 'trophy' },
  amount: { fixed: 1 },
  keyedByReward: true,
};

export const droppedItem: EventReward = {
  eventType: 'drop_claimed',
  causeName: 'drop',
  causeField: 'dropId',
  reward: { field: 'itemId' },
  amount: { field: 'quantity', otherwise: 1 },
  keyedByReward: false,
};

const eventType = (name: string): EventType => ({
  name,
  from: 'any',
  schema: { type: 'object' },
  validate: () => null,
});

const window = (kind: BoardWindow['kind']): BoardWindow => ({ kind, timeZone: 'UTC', resetHour: 0 });

const xpBoard: Board = {
  name: 'xp',
  eventType: 'progression',
  aggregate: 'sum',
  order: 'desc',
  valueField: 'deltaXp',
  subjectField: null,
  partitionField: null,
  filter: new Map(),
  windows: [window('daily'), window('weekly'), window('seasonal'), window('all-time')],
  isPublic: true,
};

const bossTimeBoard: Board = {
  ...xpBoard,
  name: 'boss-time',
  eventType: 'boss_kill',
  aggregate: 'min',
  order: 'asc',
  valueField: 'durationMs',
  partitionField: 'bossId',
  windows: [window('weekly'), window('seasonal'), window('all-time')],
};

const byName = <T extends { readonly name: string }>(items: readonly T[]): ReadonlyMap<string, T> =>
  new Map(items.map((item) => [item.name, item]));

/** The sample game built by hand: version 1 of `demo`, without fairness metrics, unless overridden. */
export function testDefinition(overrides: Partial<GameDefinition> = {}): GameDefinition {
  const boards = overrides.boards ?? byName([xpBoard, bossTimeBoard]);
  return {
    gameId: 'demo',
    version: 1,
    unknownTypes: 'store',
    eventTypes: byName(['progression', 'boss_kill', 'drop_claimed'].map(eventType)),
    boards,
    boardsFor: (type) => [...boards.values()].filter((board) => board.eventType === type),
    ...createCycles([]),
    graceMs: DAY_MS,
    levels: testLevels(),
    rewards: [bossTrophy, droppedItem],
    fairness: [],
    ...overrides,
  };
}
