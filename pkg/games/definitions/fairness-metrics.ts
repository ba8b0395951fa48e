import type { FairnessMetric } from '../port.js';
import type { Entry, MapEntry } from './document.js';
import type { EventReferences } from './event-types.js';
import { NAME } from './reading.js';
import type { Reading } from './reading.js';

const MAX_METRICS = 50;
const KEYS = [
  'description',
  'event',
  'value',
  'secondsSincePrevious',
  'partition',
  'transform',
  'side',
  'minSamples',
  'maxZ',
];

/** Metrics; what a metric does not say makes the plain rule: raw values, both sides, |z| > 3 after 10 samples. */
export function readFairness(
  reading: Reading,
  entry: Entry | undefined,
  events: EventReferences,
): readonly FairnessMetric[] {
  const metrics: FairnessMetric[] = [];
  for (const [name, item] of reading.named(entry, NAME, MAX_METRICS)) {
    const map = reading.map(item, KEYS);
    const metric = map === null ? null : readMetric(reading, name, map, events);
    if (metric !== null) metrics.push(metric);
  }
  return metrics;
}

function readMetric(
  reading: Reading,
  name: string,
  map: MapEntry,
  events: EventReferences,
): FairnessMetric | null {
  const optional = (key: string): Entry | null => map.entries.get(key) ?? null;
  const type = events.eventType(map);
  const sincePrevious = reading.flag(map.entries.get('secondsSincePrevious'), false);
  const value = optional('value');
  if (sincePrevious && value !== null)
    return reading.refuse(value, 'stands beside `secondsSincePrevious`; keep one of them');
  if (!sincePrevious && value === null) reading.required(map, 'value', '<number field of the payload>');
  const field = events.field(value, type, { kind: 'number' }, 'optional');
  const partitionEntry = optional('partition');
  const partitionField = events.field(partitionEntry, type, { kind: 'key' }, 'required');
  const transform = reading.oneOf(optional('transform') ?? word(map, 'none'), ['none', 'log']);
  const side = reading.oneOf(optional('side') ?? word(map, 'both'), ['high', 'low', 'both']);
  const minSamples = reading.integer(optional('minSamples') ?? word(map, 10), 2, 1_000_000);
  const maxZ = reading.number(optional('maxZ') ?? word(map, 3), 0.1, 1000);
  if (type === null || (field === null && !sincePrevious)) return null;
  if (transform === null || side === null || minSamples === null || maxZ === null) return null;
  return {
    name,
    eventType: type.name,
    value: field === null ? { sincePrevious: true } : { field },
    partitionField,
    transform,
    side,
    minSamples,
    maxZ,
  };
}

/** A default, read like what is written. */
const word = (map: MapEntry, value: string | number): Entry => ({
  path: map.path,
  line: map.line,
  column: map.column,
  kind: 'scalar',
  value,
});
