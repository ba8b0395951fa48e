import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, statSync, writeSync } from 'node:fs';
import { resolve } from 'node:path';
import { FairtallyError } from '../kernel/errors.js';

/**
 * What is known of a replay: every line up to `line` was answered for good. It stays when the recording has ended, for its
 * offset: the same event must carry the same time every time, or it would be another event.
 */
export interface Checkpoint {
  readonly recording: string;
  /** Chosen once. */
  readonly rebaseDays: number;
  readonly line: number;
  readonly tally: Tally;
}

export interface Tally {
  readonly accepted: number;
  readonly duplicates: number;
  readonly rejected: Readonly<Record<string, number>>;
}

export const EMPTY_TALLY: Tally = { accepted: 0, duplicates: 0, rejected: {} };

export const rejectedCount = (tally: Tally): number =>
  Object.values(tally.rejected).reduce((sum, count) => sum + count, 0);

export function addTallies(a: Tally, b: Tally): Tally {
  const rejected = { ...a.rejected };
  for (const [reason, count] of Object.entries(b.rejected))
    rejected[reason] = (rejected[reason] ?? 0) + count;
  return { accepted: a.accepted + b.accepted, duplicates: a.duplicates + b.duplicates, rejected };
}

/** Names a recording by its files and their sizes, and the gateway it goes to. @throws when a file is not there */
export function recordingName(files: readonly string[], url: string): string {
  const hash = createHash('sha256').update(url);
  for (const file of files) hash.update(`\n${resolve(file)}\n${String(statSync(file).size)}`);
  return hash.digest('hex');
}

/** null when there is none. @throws FairtallyError `checkpoint_unreadable`, `checkpoint_of_another_recording` */
export function readCheckpoint(path: string, recording: string): Checkpoint | null {
  if (statSync(path, { throwIfNoEntry: false }) === undefined) return null;
  const value = parsed(readFileSync(path, 'utf8'));
  if (!isCheckpoint(value))
    throw new FairtallyError('checkpoint_unreadable', `${path} is not a checkpoint: remove it to begin anew`);
  if (value.recording !== recording) {
    throw new FairtallyError(
      'checkpoint_of_another_recording',
      `${path} belongs to another recording or gateway: name another with --checkpoint, or remove it to begin anew`,
    );
  }
  return value;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null; // the caller tells that it is no checkpoint
  }
}

function isCheckpoint(value: unknown): value is Checkpoint {
  if (typeof value !== 'object' || value === null) return false;
  const { recording, rebaseDays, line, tally } = value as Partial<Checkpoint>;
  return (
    typeof recording === 'string' &&
    Number.isSafeInteger(rebaseDays) &&
    Number.isSafeInteger(line) &&
    isTally(tally)
  );
}

function isTally(value: unknown): value is Tally {
  if (typeof value !== 'object' || value === null) return false;
  const { accepted, duplicates, rejected } = value as Readonly<Record<string, unknown>>;
  if (typeof rejected !== 'object' || rejected === null) return false;
  return [accepted, duplicates, ...(Object.values(rejected) as unknown[])].every(Number.isSafeInteger);
}

/** Replaced in one step and on disk before it returns, so that a kill leaves the old one or the new one. */
export function writeCheckpoint(path: string, checkpoint: Checkpoint): void {
  const file = openSync(`${path}.new`, 'w', 0o644);
  try {
    writeSync(file, JSON.stringify(checkpoint));
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(`${path}.new`, path);
}
