import type { JsonValue } from '../../contract/event.js';
import type { Aggregate, Board, BoardWindow } from '../port.js';
import { isTimeZone } from '../zone.js';
import { jsonOf } from './document.js';
import type { Entry, MapEntry } from './document.js';
import type { EventReferences } from './event-types.js';
import { BOARD_NAME } from './reading.js';
import type { Reading } from './reading.js';

const MAX_BOARDS = 100;
const MAX_FILTER_VALUES = 64;
const KEYS = [
  'description',
  'event',
  'aggregate',
  'value',
  'order',
  'subject',
  'partition',
  'where',
  'windows',
  'reset',
  'public',
];
const WINDOW_KINDS = ['daily', 'weekly', 'seasonal', 'all-time'] as const;

/** A sum of a value within these bounds stays exact for nine million events at the bound. */
const SUMMED = { kind: 'integer', min: -1_000_000_000, max: 1_000_000_000 } as const;
const KEPT = { kind: 'integer', min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER } as const;

/** When daily and weekly cycles begin. */
export type Reset = Pick<BoardWindow, 'timeZone' | 'resetHour'>;

export function readReset(reading: Reading, entry: Entry | undefined, otherwise: Reset): Reset {
  const map = entry === undefined ? null : reading.map(entry, ['timeZone', 'hour']);
  if (map === null) return otherwise;
  const zone = map.entries.get('timeZone');
  const hour = map.entries.get('hour');
  return {
    timeZone: zone === undefined ? otherwise.timeZone : (readTimeZone(reading, zone) ?? otherwise.timeZone),
    resetHour:
      hour === undefined ? otherwise.resetHour : (reading.integer(hour, 0, 23) ?? otherwise.resetHour),
  };
}

function readTimeZone(reading: Reading, entry: Entry): string | null {
  if (entry.kind === 'scalar' && typeof entry.value === 'string' && isTimeZone(entry.value))
    return entry.value;
  return reading.refuse(entry, 'must be the IANA name of a time zone, such as `UTC` or `Europe/Berlin`');
}

export function readBoards(
  reading: Reading,
  entry: Entry | undefined,
  events: EventReferences,
  reset: Reset,
): Map<string, Board> {
  const boards = new Map<string, Board>();
  for (const [name, item] of reading.named(entry, BOARD_NAME, MAX_BOARDS)) {
    const map = reading.map(item, KEYS);
    const board = map === null ? null : readBoard(reading, name, map, events, reset);
    if (board !== null) boards.set(name, board);
  }
  return boards;
}

function readBoard(
  reading: Reading,
  name: string,
  map: MapEntry,
  events: EventReferences,
  reset: Reset,
): Board | null {
  const { entries } = map;
  const type = events.eventType(map);
  const aggregate = reading.oneOf(reading.required(map, 'aggregate', 'sum'), ['sum', 'best', 'min', 'last']);
  const value = entries.get('value') ?? null;
  if (value === null && aggregate !== null && aggregate !== 'sum') {
    reading.required(map, 'value', '<integer field of the payload>');
  }
  const bounds = aggregate === 'sum' ? SUMMED : KEPT;
  const order = aggregate === null ? null : readOrder(reading, entries.get('order'), aggregate);
  const valueField = events.field(value, type, bounds, 'required');
  const subjectField = events.field(entries.get('subject') ?? null, type, { kind: 'key' }, 'required');
  const partitionField = events.field(entries.get('partition') ?? null, type, { kind: 'key' }, 'required');
  const filter = readFilter(reading, entries.get('where'), (field) =>
    events.field(field, type, { kind: 'any' }, 'optional'),
  );
  const windows = readWindows(reading, map, readReset(reading, entries.get('reset'), reset));
  const isPublic = reading.flag(entries.get('public'), false);
  if (type === null || aggregate === null || order === null || windows === null) return null;
  return {
    name,
    eventType: type.name,
    aggregate,
    order,
    valueField,
    subjectField,
    partitionField,
    filter,
    windows,
    isPublic,
  };
}

function readOrder(reading: Reading, entry: Entry | undefined, aggregate: Aggregate): 'asc' | 'desc' | null {
  const natural = aggregate === 'min' ? 'asc' : 'desc';
  if (entry === undefined) return natural;
  const order = reading.oneOf(entry, ['asc', 'desc']);
  if (order === null || order === natural || aggregate === 'sum' || aggregate === 'last') return order;
  return reading.refuse(
    entry,
    `a board of aggregate \`${aggregate}\` is always \`${natural}\`; remove this line`,
  );
}

function readFilter(
  reading: Reading,
  entry: Entry | undefined,
  field: (entry: Entry) => string | null,
): Board['filter'] {
  const filter = new Map<string, readonly JsonValue[]>();
  const map = entry === undefined ? null : reading.map(entry);
  for (const [name, values] of map?.entries ?? []) {
    const key: Entry = { ...(map as MapEntry).keyPlace(name), kind: 'scalar', value: name };
    const items = values.kind === 'list' ? (reading.list(values, MAX_FILTER_VALUES)?.items ?? []) : [values];
    if (values.kind === 'list' && values.items.length === 0)
      reading.refuse(values, 'keeps no event; name a value');
    for (const item of items)
      if (item.kind !== 'scalar')
        reading.refuse(item, 'must be a plain value: text, a number, true or false');
    if (field(key) !== null) filter.set(name, items.map(jsonOf));
  }
  return filter;
}

function readWindows(reading: Reading, map: MapEntry, reset: Reset): readonly BoardWindow[] | null {
  const entry = reading.required(map, 'windows', '[daily, weekly, seasonal, all-time]');
  const list = entry === null ? null : reading.list(entry, WINDOW_KINDS.length);
  if (entry === null || list === null) return null;
  if (list.items.length === 0) return reading.refuse(entry, 'is empty; name at least one window');
  const kinds = list.items.map((item) => reading.oneOf(item, WINDOW_KINDS)).filter((kind) => kind !== null);
  if (new Set(kinds).size < kinds.length) return reading.refuse(entry, 'names a window twice; keep one');
  return kinds.map((kind) => ({ kind, ...reset }));
}
