const DAY_MS = 86_400_000;
const MAX_FORMATS = 128;

const formats = new Map<string, Intl.DateTimeFormat>();

function formatOf(timeZone: string): Intl.DateTimeFormat {
  let format = formats.get(timeZone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone,
      hourCycle: 'h23',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
    });
    if (formats.size >= MAX_FORMATS) formats.clear();
    formats.set(timeZone, format);
  }
  return format;
}

/** Whether this is the name of a time zone in the IANA database that this runtime knows. */
export function isTimeZone(name: string): boolean {
  // Newer runtimes take offsets such as +05:30 as zones; a definition means the same everywhere.
  if (!/^[A-Za-z]/.test(name)) return false;
  try {
    formatOf(name);
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

const READING = /^(\d+)\/(\d+)\/(\d+), (\d+):(\d+):(\d+)$/;

/** Milliseconds that local clocks are ahead of UTC at an instant. */
export function offsetMs(timeZone: string, atMs: number): number {
  if (timeZone === 'UTC') return 0;
  const text = formatOf(timeZone).format(atMs);
  const parts = READING.exec(text)?.slice(1).map(Number);
  if (parts === undefined) throw new RangeError(`the local time of ${timeZone} cannot be read`);
  const [month = 1, day = 1, year = 1970, hour = 0, minute = 0, second = 0] = parts;
  return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(atMs / 1000) * 1000;
}

/**
 * The first instant from which local clocks read `localMs` (a reading, counted as if it were UTC) or later. A reading
 * that comes twice counts the first time; one that is skipped counts from the instant of the skip. So the starts of
 * local days are in order and no day begins twice.
 */
export function startOfLocalTime(timeZone: string, localMs: number): number {
  const before = offsetMs(timeZone, localMs - DAY_MS);
  const after = offsetMs(timeZone, localMs + DAY_MS);
  if (before === after) return localMs - before;
  const turn = turnBetween(timeZone, localMs - DAY_MS, localMs + DAY_MS, before);
  if (localMs - before < turn) return localMs - before;
  return Math.max(localMs - after, turn);
}

/** The instant in (from, until] at which the offset stops being `before`. */
function turnBetween(timeZone: string, fromMs: number, untilMs: number, before: number): number {
  let low = fromMs;
  let high = untilMs;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (offsetMs(timeZone, middle) === before) low = middle;
    else high = middle;
  }
  return high;
}
