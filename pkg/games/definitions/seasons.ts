import type { Season } from '../cycles.js';
import type { Entry } from './document.js';
import { NAME } from './reading.js';
import type { Reading } from './reading.js';

const MAX_SEASONS = 200;

/** Named seasons in the order of time. Names of what lies between (`after-...`) and of quarters are taken. */
export function readSeasons(reading: Reading, entry: Entry | undefined): readonly Season[] {
  const seasons: { season: Season; entry: Entry }[] = [];
  for (const [name, item] of reading.named(entry, NAME, MAX_SEASONS)) {
    if (/^(before|after)-/.test(name))
      reading.refuse(item, 'must not begin with `before-` or `after-`: these name the time between seasons');
    const map = reading.map(item, ['from', 'to']);
    if (map === null) continue;
    const startsAtMs = readInstant(reading, reading.required(map, 'from', '2026-10-01T00:00:00Z'));
    const endsAtMs = readInstant(reading, reading.required(map, 'to', '2027-01-01T00:00:00Z'));
    if (startsAtMs === null || endsAtMs === null) continue;
    if (endsAtMs <= startsAtMs) reading.refuse(map, 'ends before it begins; set `to` after `from`');
    else seasons.push({ season: { name, startsAtMs, endsAtMs }, entry: map });
  }
  seasons.sort((a, b) => a.season.startsAtMs - b.season.startsAtMs);
  seasons.forEach(({ season, entry: place }, index) => {
    const before = seasons[index - 1]?.season;
    if (before !== undefined && season.startsAtMs < before.endsAtMs) {
      reading.refuse(place, `overlaps season ${before.name}; a season begins when the one before has ended`);
    }
  });
  return seasons.map(({ season }) => season);
}

const INSTANT = /^(\d{4}-\d{2}-\d{2})T(\d{2}):(\d{2}):(\d{2})(\.\d{1,3})?(Z|[+-]\d{2}:\d{2})$/;

/** RFC 3339, where the offset must stand and the date must exist: Date.parse would move 30 February into March. */
function readInstant(reading: Reading, entry: Entry | null): number | null {
  if (entry === null) return null;
  const text = entry.kind === 'scalar' && typeof entry.value === 'string' ? entry.value : '';
  const day = INSTANT.exec(text)?.[1];
  const ms = day === undefined ? NaN : Date.parse(text);
  const dayMs = day === undefined ? NaN : Date.parse(`${day}T00:00:00Z`);
  const dayExists = !Number.isNaN(dayMs) && new Date(dayMs).toISOString().slice(0, 10) === day;
  if (dayExists && !Number.isNaN(ms)) return ms;
  return reading.refuse(entry, 'must be an instant with its offset, such as `2026-10-01T00:00:00Z`');
}

const UNIT_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const MAX_DURATION_MS = 90 * 86_400_000;

/** `90s`, `15m`, `24h` or `7d`, in milliseconds. */
export function readDuration(reading: Reading, entry: Entry | undefined, otherwiseMs: number): number {
  if (entry === undefined) return otherwiseMs;
  const text = entry.kind === 'scalar' && typeof entry.value === 'string' ? entry.value : '';
  const [, count, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  const ms = Number(count) * (UNIT_MS[unit ?? ''] ?? NaN);
  if (ms <= MAX_DURATION_MS) return ms;
  reading.refuse(entry, 'must be a duration up to 90 days, such as `90s`, `15m`, `24h` or `7d`');
  return otherwiseMs;
}
