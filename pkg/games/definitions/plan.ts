import type { ReadDefinition } from '../definition-file.js';
import type { Board, FairnessMetric, Levels } from '../port.js';

export interface Change {
  readonly change: 'added' | 'removed' | 'changed';
  /** What it is and its name: `board xp`. */
  readonly what: string;
  /** For `changed`: the keys that differ. */
  readonly keys: readonly string[];
}

/** What applying a definition would do. It may be applied when there is no refusal. */
export interface DefinitionPlan {
  readonly changes: readonly Change[];
  /** Why it cannot be applied, and what to do instead. */
  readonly refusals: readonly string[];
}

/** One named part of a definition as text to compare. What is `kept` cannot change under the same name. */
interface Part {
  readonly facts: ReadonlyMap<string, string>;
  readonly kept: ReadonlySet<string>;
}

/**
 * Compares a definition with the versions before it, newest first. Changes are those against the version that is in force
 * when the new one begins to hold (null: none is), which need not be the newest. Boards and metrics hold what they have
 * counted, so their meaning is compared with the newest version that had the name.
 */
export function planDefinition(
  history: readonly ReadDefinition[],
  next: ReadDefinition,
  inForce: ReadDefinition | null,
): DefinitionPlan {
  const after = partsOf(next);
  const earlier = history.map(partsOf);
  const before = inForce === null ? new Map<string, Part>() : partsOf(inForce);
  const refusals: string[] = [];
  for (const [what, part] of after) {
    const last = part.kept.size === 0 ? undefined : earlier.find((parts) => parts.has(what))?.get(what);
    const mixed = last === undefined ? [] : differing(last, part).filter((key) => part.kept.has(key));
    if (mixed.length > 0) refusals.push(refusalOf(what, mixed));
  }
  return { changes: changesOf(before, after), refusals };
}

const refusalOf = (what: string, keys: readonly string[]): string =>
  `${what}: ${keys.join(', ')} cannot change, for what is stored under this name would mix; give what you want a new name`;

function changesOf(before: ReadonlyMap<string, Part>, after: ReadonlyMap<string, Part>): Change[] {
  const changes: Change[] = [];
  for (const [what, part] of after) {
    const old = before.get(what);
    const keys = old === undefined ? [] : differing(old, part);
    if (old === undefined) changes.push({ change: 'added', what, keys });
    else if (keys.length > 0) changes.push({ change: 'changed', what, keys });
  }
  for (const what of before.keys()) if (!after.has(what)) changes.push({ change: 'removed', what, keys: [] });
  return changes;
}

function differing(one: Part, other: Part): string[] {
  const keys = new Set([...one.facts.keys(), ...other.facts.keys()]);
  return [...keys].filter((key) => one.facts.get(key) !== other.facts.get(key));
}

const part = (facts: Readonly<Record<string, unknown>>, kept: readonly string[] = []): Part => ({
  facts: new Map(Object.entries(facts).map(([key, value]) => [key, JSON.stringify(value)])),
  kept: new Set(kept),
});

function partsOf(definition: ReadDefinition): ReadonlyMap<string, Part> {
  const parts = new Map<string, Part>();
  parts.set('game', part({ unknownTypes: definition.unknownTypes, grace: definition.graceMs }));
  for (const type of definition.eventTypes.values()) {
    parts.set(`event type ${type.name}`, part({ from: type.from, payload: type.schema }));
  }
  for (const { name, startsAtMs, endsAtMs } of definition.seasons) {
    parts.set(`season ${name}`, part({ from: startsAtMs, to: endsAtMs }));
  }
  if (definition.levels !== null) parts.set('levels', levelsPart(definition.levels));
  for (const { causeName, eventType, causeField, keyedByReward, reward, amount } of definition.rewards) {
    const item = 'fixed' in reward ? reward.fixed : `{${reward.field}}`;
    const facts = { event: eventType, once: [causeField, keyedByReward], amount };
    parts.set(`reward ${item} for ${causeName}`, part(facts));
  }
  for (const board of definition.boards.values()) parts.set(`board ${board.name}`, boardPart(board));
  for (const metric of definition.fairness) parts.set(`metric ${metric.name}`, metricPart(metric));
  return parts;
}

function levelsPart(levels: Levels): Part {
  const all = Array.from({ length: levels.maxLevel }, (_, index) => index + 1);
  return part({
    event: levels.eventType,
    xp: levels.xpField,
    max: levels.maxLevel,
    curve: all.map((level) => levels.xpFor(level)),
    rewards: all.map((level) => levels.rewardsFor(level)),
  });
}

const boardPart = (board: Board): Part =>
  part(
    {
      event: board.eventType,
      aggregate: board.aggregate,
      value: board.valueField,
      order: board.order,
      subject: board.subjectField,
      partition: board.partitionField,
      where: [...board.filter],
      windows: board.windows,
      public: board.isPublic,
    },
    ['event', 'aggregate', 'value', 'order', 'subject', 'partition'],
  );

const metricPart = (metric: FairnessMetric): Part =>
  part(
    {
      event: metric.eventType,
      value: metric.value,
      partition: metric.partitionField,
      transform: metric.transform,
      side: metric.side,
      minSamples: metric.minSamples,
      maxZ: metric.maxZ,
    },
    ['event', 'value', 'partition', 'transform'],
  );
