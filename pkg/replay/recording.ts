import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';

/** One line of a recording: the event as it is posted, or why it cannot be. */
export type RecordedLine =
  | {
      readonly line: number;
      readonly ok: true;
      readonly playerId: string;
      readonly tsMs: number | null;
      readonly type: string;
      readonly body: string;
    }
  | { readonly line: number; readonly ok: false; readonly reason: string };

export const MS_PER_DAY = 86_400_000;

/** A number from 1e11 on is milliseconds, as at the gateway (docs/signing.md). */
const MS_FROM = 1e11;

/** Moves an event's time by whole days, in the form it was written in. null: it has no time to move. */
export function shiftTs(ts: unknown, days: number): unknown {
  if (typeof ts === 'number') return ts >= MS_FROM ? ts + days * MS_PER_DAY : roundMicro(ts + days * 86_400);
  if (typeof ts !== 'string') return ts;
  const moved = Date.parse(ts);
  return Number.isNaN(moved) ? ts : new Date(moved + days * MS_PER_DAY).toISOString();
}

/** Adding days to seconds must not leave the noise of binary fractions behind: the content hash is made of it. */
const roundMicro = (seconds: number): number => Math.round(seconds * 1e6) / 1e6;

export function timeOf(ts: unknown): number | null {
  if (typeof ts === 'number') return ts >= MS_FROM ? ts : ts * 1000;
  const parsed = typeof ts === 'string' ? Date.parse(ts) : Number.NaN;
  return Number.isNaN(parsed) ? null : parsed;
}

export function readLine(text: string, line: number, rebaseDays: number): RecordedLine {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { line, ok: false, reason: 'malformed_line' };
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return { line, ok: false, reason: 'malformed_line' };
  const event = value as Record<string, unknown>;
  if (typeof event['playerId'] !== 'string') return { line, ok: false, reason: 'malformed_line' };
  const moved = rebaseDays === 0 ? event : { ...event, ts: shiftTs(event['ts'], rebaseDays) };
  return {
    line,
    ok: true,
    playerId: event['playerId'],
    tsMs: timeOf(moved['ts']),
    type: typeof event['type'] === 'string' ? event['type'] : '',
    body: rebaseDays === 0 ? text : JSON.stringify(moved),
  };
}

/** The lines of several NDJSON files as one recording, numbered from 1 through all of them. Empty lines are skipped. */
export async function* readRecording(
  files: readonly string[],
  rebaseDays: number,
): AsyncGenerator<RecordedLine> {
  let line = 0;
  for (const file of files) {
    const lines = createInterface({ input: createReadStream(file, 'utf8'), crlfDelay: Infinity });
    for await (const text of lines) {
      line += 1;
      if (text.trim() !== '') yield readLine(text, line, rebaseDays);
    }
  }
}

export interface RecordingSummary {
  readonly lines: number;
  readonly malformed: number;
  readonly byType: Readonly<Record<string, number>>;
  readonly firstMs: number | null;
  readonly lastMs: number | null;
}

/** One pass over a recording before it is replayed: how much there is, of what, and when. */
export async function surveyRecording(files: readonly string[]): Promise<RecordingSummary> {
  let lines = 0;
  let malformed = 0;
  let firstMs: number | null = null;
  let lastMs: number | null = null;
  const byType: Record<string, number> = Object.create(null) as Record<string, number>;
  for await (const recorded of readRecording(files, 0)) {
    lines += 1;
    if (!recorded.ok) {
      malformed += 1;
      continue;
    }
    byType[recorded.type] = (byType[recorded.type] ?? 0) + 1;
    if (recorded.tsMs === null) continue;
    firstMs = firstMs === null ? recorded.tsMs : Math.min(firstMs, recorded.tsMs);
    lastMs = lastMs === null ? recorded.tsMs : Math.max(lastMs, recorded.tsMs);
  }
  return { lines, malformed, byType, firstMs, lastMs };
}

/** Whole days that bring the end of a recording to the last full day before `nowMs`; 0 when it already ends there or later. */
export function rebaseDaysFor(summary: RecordingSummary, nowMs: number): number {
  if (summary.lastMs === null) return 0;
  return Math.max(0, Math.floor((nowMs - summary.lastMs) / MS_PER_DAY));
}
