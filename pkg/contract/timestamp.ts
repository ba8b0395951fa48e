/** A number from here on is milliseconds, a smaller one seconds: 1e11 ms is March 1973, 1e11 s is the year 5138. */
const MILLISECONDS_FROM = 1e11;

/** 9999-12-31T23:59:59.999Z: the last instant whose day is written `YYYY-MM-DD`. */
export const LAST_TS_MS = 253_402_300_799_999;

const RFC_3339 =
  /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,18}))?(?:[Zz]|([+-])(\d\d):(\d\d))$/;

const DAYS_OF_MONTH = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] as const;

const isLeapYear = (year: number): boolean => year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);

const daysIn = (year: number, month: number): number =>
  month === 2 && isLeapYear(year) ? 29 : (DAYS_OF_MONTH[month - 1] ?? 0);

/**
 * The instant that a sender wrote, as whole milliseconds UTC in 0..LAST_TS_MS; null when it is none.
 *
 * Read are: a number >= 1e11 (milliseconds), a smaller number (seconds, fractions allowed), an RFC 3339 date-time with an
 * offset. Digits as text are refused, and so are days and times that do not exist (30 February, second 60).
 * Parts of a millisecond are rounded to the nearest, halves towards the later one.
 */
export function parseTimestamp(value: unknown): number | null {
  if (typeof value === 'string') return parseRfc3339(value);
  if (typeof value !== 'number' || !Number.isFinite(value)) return null;
  return inRange(Math.round(value >= MILLISECONDS_FROM ? value : value * 1000));
}

/** RFC 3339 section 5.6, upper or lower case `T` and `Z`. V8's Date.parse would turn 30 February into 2 March. */
function parseRfc3339(text: string): number | null {
  const match = RFC_3339.exec(text);
  if (match === null) return null;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  if (day < 1 || day > daysIn(year, month) || hour > 23 || minute > 59 || second > 59) return null;
  const offsetMinutes = offsetOf(match[8], Number(match[9] ?? 0), Number(match[10] ?? 0));
  if (offsetMinutes === null) return null;
  const at = new Date(0);
  at.setUTCFullYear(year, month - 1, day); // Date.UTC would read the years 0..99 as 1900..1999
  at.setUTCHours(hour, minute, second, 0);
  return inRange(at.getTime() - offsetMinutes * 60_000 + fractionMs(match[7] ?? ''));
}

function offsetOf(sign: string | undefined, hours: number, minutes: number): number | null {
  if (hours > 23 || minutes > 59) return null;
  return (sign === '-' ? -1 : 1) * (hours * 60 + minutes);
}

/** The digits after the point, read as text so that no floating point takes part. */
function fractionMs(digits: string): number {
  const wholeMs = Number(digits.slice(0, 3).padEnd(3, '0'));
  return (digits[3] ?? '0') >= '5' ? wholeMs + 1 : wholeMs;
}

const inRange = (tsMs: number): number | null => (tsMs >= 0 && tsMs <= LAST_TS_MS ? tsMs + 0 : null);
