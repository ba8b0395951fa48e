import type { EventReward, EventType } from '../port.js';
import type { Entry, MapEntry } from './document.js';
import type { EventReferences } from './event-types.js';
import { NAME } from './reading.js';
import type { Reading } from './reading.js';

const MAX_REWARDS = 100;
const MAX_AMOUNT = 1_000_000_000;
const AMOUNT = { kind: 'integer', min: 1, max: MAX_AMOUNT } as const;

/** `boss:{bossId}:{item}` or `drop:{dropId}`: what a player is rewarded for once and for good. */
const ONCE = /^([a-z][a-z0-9-]{0,31}):\{([^{}]+)\}(:\{item\})?$/;

export function readEventRewards(
  reading: Reading,
  entry: Entry | undefined,
  events: EventReferences,
): readonly EventReward[] {
  const list = entry === undefined ? null : reading.list(entry, MAX_REWARDS);
  const rewards: EventReward[] = [];
  for (const item of list?.items ?? []) {
    const map = reading.map(item, ['event', 'once', 'item', 'amount']);
    const reward = map === null ? null : readEventReward(reading, map, events);
    if (reward === null) continue;
    const clash = rewards.find((other) => shareKeys(other, reward));
    if (clash === undefined) rewards.push(reward);
    else {
      const place = map?.entries.get('once') ?? item;
      reading.refuse(
        place,
        `\`${reward.causeName}:\` is used by another reward, and one of the two would never be paid; choose another word`,
      );
    }
  }
  return rewards;
}

/** Whether two rules could name the same grant. Two fixed items of one cause are apart by their names. */
function shareKeys(one: EventReward, other: EventReward): boolean {
  if (one.causeName !== other.causeName) return false;
  if (!one.keyedByReward || !other.keyedByReward) return true;
  return JSON.stringify(one.reward) === JSON.stringify(other.reward);
}

function readEventReward(reading: Reading, map: MapEntry, events: EventReferences): EventReward | null {
  const type = events.eventType(map);
  const once = readOnce(reading, map, type, events);
  const reward = readItem(reading, map, type, events);
  const amount = readAmount(reading, map, type, events);
  if (type === null || once === null || reward === null || amount === null) return null;
  if (once.keyedByReward && 'field' in reward) {
    return reading.refuse(map, '`once` may end in `:{item}` only where the item is fixed; remove it');
  }
  return { eventType: type.name, ...once, reward, amount };
}

function readOnce(
  reading: Reading,
  map: MapEntry,
  type: EventType | null,
  events: EventReferences,
): Pick<EventReward, 'causeName' | 'causeField' | 'keyedByReward'> | null {
  const entry = reading.required(map, 'once', 'boss:{bossId}:{item}');
  if (entry === null) return null;
  const text = entry.kind === 'scalar' && typeof entry.value === 'string' ? entry.value : '';
  const [, causeName, field, item] = ONCE.exec(text) ?? [];
  if (causeName === undefined || field === undefined) {
    return reading.refuse(
      entry,
      'must be a word and a payload field, such as `boss:{bossId}:{item}` or `drop:{dropId}`',
    );
  }
  if (causeName === 'level')
    return reading.refuse(entry, '`level:` belongs to the rewards of `levels`; choose another word');
  const causeField = events.field(
    { ...entry, kind: 'scalar', value: field },
    type,
    { kind: 'key' },
    'required',
  );
  return causeField === null ? null : { causeName, causeField, keyedByReward: item !== undefined };
}

function readItem(
  reading: Reading,
  map: MapEntry,
  type: EventType | null,
  events: EventReferences,
): EventReward['reward'] | null {
  const entry = reading.required(map, 'item', 'trophy');
  if (entry?.kind !== 'map') {
    const fixed = reading.text(entry, 'the name of an item, or `{ field: <payload field> }`', NAME);
    return fixed === null ? null : { fixed };
  }
  const inner = reading.map(entry, ['field']);
  const named = inner === null ? null : reading.required(inner, 'field', '<text field of the payload>');
  const field = events.field(named, type, { kind: 'key' }, 'required');
  return field === null ? null : { field };
}

function readAmount(
  reading: Reading,
  map: MapEntry,
  type: EventType | null,
  events: EventReferences,
): EventReward['amount'] | null {
  const entry = map.entries.get('amount');
  if (entry === undefined) return { fixed: 1 };
  if (entry.kind !== 'map') {
    const fixed = reading.integer(entry, 1, MAX_AMOUNT);
    return fixed === null ? null : { fixed };
  }
  const inner = reading.map(entry, ['field', 'otherwise']);
  if (inner === null) return null;
  const named = reading.required(inner, 'field', '<integer field of the payload>');
  const field = events.field(named, type, AMOUNT, 'optional');
  const otherwise = reading.integer(reading.required(inner, 'otherwise', '1'), 1, MAX_AMOUNT);
  return field === null || otherwise === null ? null : { field, otherwise };
}
