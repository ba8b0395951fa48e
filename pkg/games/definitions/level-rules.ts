import { sqrtCurve, tableCurve } from '../levels.js';
import type { LevelCurve } from '../levels.js';
import type { Levels, RewardGrant } from '../port.js';
import type { Entry, MapEntry } from './document.js';
import type { EventReferences } from './event-types.js';
import { NAME } from './reading.js';
import type { Reading } from './reading.js';

const MAX_LEVEL = 1000;
const MAX_RULES = 50;
const MAX_AMOUNT = 1_000_000_000;
const XP = { kind: 'integer', min: 0, max: 1_000_000_000 } as const;

interface LevelReward {
  readonly item: string;
  readonly every: number;
  amountAt(level: number): number;
}

export function readLevels(
  reading: Reading,
  entry: Entry | undefined,
  events: EventReferences,
): Levels | null {
  const map =
    entry === undefined ? null : reading.map(entry, ['event', 'xp', 'max', 'curve', 'table', 'rewards']);
  if (map === null) return null;
  const type = events.eventType(map);
  const xpField = events.field(
    reading.required(map, 'xp', '<integer field of the payload>'),
    type,
    XP,
    'required',
  );
  const curve = readCurve(reading, map);
  const rules = readRules(reading, map.entries.get('rewards'));
  if (type === null || xpField === null || curve === null) return null;
  return {
    eventType: type.name,
    xpField,
    ...curve,
    rewardsFor: (level) => (level < 2 || level > curve.maxLevel ? [] : grantsAt(rules, level)),
  };
}

const grantsAt = (rules: readonly LevelReward[], level: number): RewardGrant[] =>
  rules
    .filter((rule) => level % rule.every === 0)
    .map((rule) => ({ reward: rule.item, amount: rule.amountAt(level) }));

function readCurve(reading: Reading, map: MapEntry): LevelCurve | null {
  const table = map.entries.get('table');
  const curve = map.entries.get('curve');
  if (table !== undefined) {
    if (curve !== undefined) return reading.refuse(curve, 'stands beside `table`; keep one of them');
    const max = map.entries.get('max');
    if (max !== undefined)
      return reading.refuse(max, 'stands beside `table`, whose length is the greatest level; remove it');
    return readTable(reading, table);
  }
  const named = reading.required(map, 'curve', '{ sqrt: { divisor: 100 } }');
  const maxLevel = reading.integer(reading.required(map, 'max', '100'), 1, MAX_LEVEL);
  const curves = named === null ? null : reading.map(named, ['sqrt']);
  const sqrt = curves === null ? null : reading.required(curves, 'sqrt', '{ divisor: 100 }');
  const parameters = sqrt === null ? null : reading.map(sqrt, ['divisor']);
  if (parameters === null || maxLevel === null) return null;
  const greatest = Math.floor(Number.MAX_SAFE_INTEGER / Math.max(1, (maxLevel - 1) ** 2));
  const divisor = reading.integer(reading.required(parameters, 'divisor', '100'), 1, greatest);
  return divisor === null ? null : sqrtCurve(divisor, maxLevel);
}

function readTable(reading: Reading, entry: Entry): LevelCurve | null {
  const list = reading.list(entry, MAX_LEVEL);
  if (list === null) return null;
  const thresholds = list.items.map((item) => reading.integer(item, 0, Number.MAX_SAFE_INTEGER));
  const right = thresholds.filter((threshold) => threshold !== null);
  if (right.length < thresholds.length) return null;
  if (right[0] !== 0) return reading.refuse(entry, 'must begin with 0: the XP at which level 1 begins');
  const fall = right.findIndex((threshold, index) => index > 0 && threshold <= (right[index - 1] ?? 0));
  if (fall > 0) return reading.refuse(list.items[fall] ?? entry, 'must be greater than the level before it');
  return tableCurve(right);
}

function readRules(reading: Reading, entry: Entry | undefined): readonly LevelReward[] {
  const list = entry === undefined ? null : reading.list(entry, MAX_RULES);
  const rules: LevelReward[] = [];
  for (const item of list?.items ?? []) {
    const map = reading.map(item, ['item', 'amount', 'every']);
    const rule = map === null ? null : readRule(reading, map);
    if (rule === null) continue;
    // A grant is unique by level and item, so a second rule for an item would never be paid.
    if (rules.some((other) => other.item === rule.item))
      reading.refuse(item, `"${rule.item}" has a rule already; keep one per item`);
    else rules.push(rule);
  }
  return rules;
}

function readRule(reading: Reading, map: MapEntry): LevelReward | null {
  const item = reading.text(reading.required(map, 'item', 'coins'), 'the name of an item', NAME);
  const everyEntry = map.entries.get('every');
  const every = everyEntry === undefined ? 1 : reading.integer(everyEntry, 1, MAX_LEVEL);
  const amount = reading.required(map, 'amount', '1');
  if (amount?.kind === 'map') {
    const parameters = reading.map(amount, ['perLevel']);
    const entry = parameters === null ? null : reading.required(parameters, 'perLevel', '100');
    const perLevel = reading.integer(entry, 1, MAX_AMOUNT);
    return item === null || every === null || perLevel === null
      ? null
      : { item, every, amountAt: (level) => perLevel * level };
  }
  const fixed = reading.integer(amount, 1, MAX_AMOUNT);
  return item === null || every === null || fixed === null ? null : { item, every, amountAt: () => fixed };
}
