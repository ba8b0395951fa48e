import { isUtf8 } from 'node:buffer';
import { createReadStream } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { dedupeDayOf } from '../contract/identity.js';
import { parseTimestamp } from '../contract/timestamp.js';

/** One line of a recording: the event as it is posted, or why it cannot be. */
export type RecordedLine =
  | {
      readonly line: number;
      readonly ok: true;
      readonly playerId: string;
      readonly tsMs: number | null;
      readonly type: string;
      /** Whether the id holds the event's day itself: then moving the event in time leaves it the same event. */
      readonly hasDayInId: boolean;
      readonly body: string;
    }
  | { readonly line: number; readonly ok: false; readonly reason: 'malformed_line' | 'line_too_long' };

export const MS_PER_DAY = 86_400_000;

/** A number from 1e11 on is milliseconds, as at the gateway (docs/signing.md). */
const MS_FROM = 1e11;
/** Far beyond the greatest event that a gateway takes; a file without line feeds must not fill the memory. */
const LINE_BYTES_MAX = 256 * 1024;
const LINE_FEED = 0x0a;
/**
 * A recording that lies in the memory is read without ever waiting: after so many bytes, and as many for each line as its
 * reading costs, whatever else the process does gets its turn.
 */
const TURN_BYTES = 256 * 1024;
const TURN_BYTES_PER_LINE = 1024;

/** Moves an event's time by whole days, in the form it was written in. What is no time stays as it is: the gateway refuses it. */
export function shiftTs(ts: unknown, days: number): unknown {
  const tsMs = parseTimestamp(ts);
  if (tsMs === null) return ts;
  if (typeof ts === 'string') return new Date(tsMs + days * MS_PER_DAY).toISOString();
  const number = ts as number;
  return number >= MS_FROM ? number + days * MS_PER_DAY : roundMicro(number + days * 86_400);
}

/** Adding days to seconds must not leave the noise of binary fractions behind: the content hash is made of it. */
const roundMicro = (seconds: number): number => Math.round(seconds * 1e6) / 1e6;

/** Reads one line; null for an empty one. */
export function readLine(bytes: Buffer | null, line: number, rebaseDays: number): RecordedLine | null {
  if (bytes === null) return { line, ok: false, reason: 'line_too_long' };
  const text = bytes.toString('utf8').trim();
  if (text === '') return null;
  const event = isUtf8(bytes) ? objectOf(text) : null;
  const playerId = event?.['playerId'];
  if (event === null || typeof playerId !== 'string') return { line, ok: false, reason: 'malformed_line' };
  const moved = rebaseDays === 0 ? event : { ...event, ts: shiftTs(event['ts'], rebaseDays) };
  return {
    line,
    ok: true,
    playerId,
    tsMs: parseTimestamp(moved['ts']),
    type: typeof event['type'] === 'string' ? event['type'] : '',
    hasDayInId: typeof event['id'] === 'string' && hasDay(event['id']),
    body: rebaseDays === 0 ? text : JSON.stringify(moved),
  };
}

/** An id that carries no day is filed under whatever day its event has. */
const hasDay = (id: string): boolean => dedupeDayOf(id, 0) === dedupeDayOf(id, MS_PER_DAY);

function objectOf(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : null;
  } catch {
    return null; // told as a malformed line
  }
}

/** The lines of several NDJSON files as one recording, numbered from 1 through all of them. Empty lines are skipped. */
export const readRecording = (files: readonly string[], rebaseDays: number): AsyncGenerator<RecordedLine> =>
  recorded(linesOfFiles(files), rebaseDays);

/** The lines of a recording that comes in pieces, wherever it was cut; as of one file. */
export const readPieces = (
  pieces: AsyncIterable<Buffer> | Iterable<Buffer>,
  rebaseDays: number,
): AsyncGenerator<RecordedLine> => recorded(linesOf(pieces), rebaseDays);

async function* recorded(
  lines: AsyncIterable<Buffer | null>,
  rebaseDays: number,
): AsyncGenerator<RecordedLine> {
  let line = 0;
  let turnBytes = 0;
  for await (const bytes of lines) {
    line += 1;
    turnBytes += (bytes?.length ?? 0) + TURN_BYTES_PER_LINE;
    if (turnBytes >= TURN_BYTES) {
      turnBytes = 0;
      await setImmediate();
    }
    const read = readLine(bytes, line, rebaseDays);
    if (read !== null) yield read;
  }
}

async function* linesOfFiles(files: readonly string[]): AsyncGenerator<Buffer | null> {
  for (const file of files) yield* linesOf(createReadStream(file) as AsyncIterable<Buffer>);
}

/**
 * The bytes between line feeds, null for a line that is too long. Not node:readline: it also breaks lines at U+2028, which
 * may stand inside a JSON text, and it hides bytes that are not UTF-8.
 */
async function* linesOf(pieces: AsyncIterable<Buffer> | Iterable<Buffer>): AsyncGenerator<Buffer | null> {
  let rest: Buffer[] = [];
  let restBytes = 0;
  const take = (end: Buffer): Buffer | null => {
    const isTooLong = restBytes + end.length > LINE_BYTES_MAX;
    const whole = isTooLong ? null : Buffer.concat([...rest, end]);
    rest = [];
    restBytes = 0;
    return whole;
  };
  for await (const chunk of pieces) {
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, start)) {
      yield take(chunk.subarray(start, end));
      start = end + 1;
    }
    restBytes += chunk.length - start;
    if (restBytes <= LINE_BYTES_MAX) rest.push(chunk.subarray(start));
  }
  if (restBytes > 0) yield take(Buffer.alloc(0));
}

/** How many lines there are, empty ones too; counts no further than one more than `max`. */
export function countLines(bytes: Buffer, max: number): number {
  let lines = 0;
  for (let start = 0; start < bytes.length && lines <= max; lines += 1) {
    const end = bytes.indexOf(LINE_FEED, start);
    start = end < 0 ? bytes.length : end + 1;
  }
  return lines;
}

export interface RecordingSummary {
  readonly lines: number;
  /** Number of the last line that is not empty; 0: there is none. */
  readonly lastLine: number;
  readonly unreadable: number;
  /** Events that would be other events on another day. */
  readonly idsWithoutDay: number;
  readonly byType: ReadonlyMap<string, number>;
  readonly firstMs: number | null;
  readonly lastMs: number | null;
}

/** One pass over a recording before it is replayed: how much there is, of what, and when. */
export const surveyRecording = (files: readonly string[]): Promise<RecordingSummary> =>
  survey(readRecording(files, 0));

/** As surveyRecording, of lines that were not moved in time. */
export async function survey(recording: AsyncIterable<RecordedLine>): Promise<RecordingSummary> {
  let lines = 0;
  let lastLine = 0;
  let unreadable = 0;
  let idsWithoutDay = 0;
  let firstMs: number | null = null;
  let lastMs: number | null = null;
  const byType = new Map<string, number>();
  for await (const recorded of recording) {
    lines += 1;
    lastLine = recorded.line;
    if (!recorded.ok) {
      unreadable += 1;
      continue;
    }
    if (!recorded.hasDayInId) idsWithoutDay += 1;
    byType.set(recorded.type, (byType.get(recorded.type) ?? 0) + 1);
    if (recorded.tsMs === null) continue;
    firstMs = Math.min(firstMs ?? Infinity, recorded.tsMs);
    lastMs = Math.max(lastMs ?? -Infinity, recorded.tsMs);
  }
  return { lines, lastLine, unreadable, idsWithoutDay, byType, firstMs, lastMs };
}

/** Whole days that bring the end of a recording to the last full day before `nowMs`; 0 when it already ends there or later. */
export function rebaseDaysFor(summary: Pick<RecordingSummary, 'lastMs'>, nowMs: number): number {
  if (summary.lastMs === null) return 0;
  return Math.max(0, Math.floor((nowMs - summary.lastMs) / MS_PER_DAY));
}
