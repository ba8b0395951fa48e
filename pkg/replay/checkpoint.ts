import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { FairtallyError } from '../kernel/errors.js';

/** How a replay that was killed goes on: every line up to `line` was answered for good. */
export interface Checkpoint {
  readonly recording: string;
  /** Chosen once: the same event must carry the same time again, or it would be another event. */
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

/** Names a recording by its files and their sizes, and the gateway it goes to. */
export function recordingName(files: readonly string[], url: string): string {
  const hash = createHash('sha256').update(url);
  for (const file of files) hash.update(`\n${resolve(file)}\n${String(statSync(file).size)}`);
  return hash.digest('hex');
}

export function readCheckpoint(path: string, recording: string): Checkpoint | null {
  if (!existsSync(path)) return null;
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new FairtallyError(
      'checkpoint_unreadable',
      `${path} is not a checkpoint: remove it to begin anew`,
      false,
      { cause: error },
    );
  }
  if (!isCheckpoint(value) || value.recording !== recording) {
    throw new FairtallyError(
      'checkpoint_of_another_recording',
      `${path} belongs to another recording or gateway: remove it to begin anew`,
    );
  }
  return value;
}

function isCheckpoint(value: unknown): value is Checkpoint {
  if (typeof value !== 'object' || value === null) return false;
  const candidate = value as Partial<Checkpoint>;
  return (
    typeof candidate.recording === 'string' &&
    Number.isSafeInteger(candidate.rebaseDays) &&
    Number.isSafeInteger(candidate.line) &&
    typeof candidate.tally === 'object'
  );
}

/** Replaced in one step, so that a kill leaves the old one or the new one. */
export function writeCheckpoint(path: string, checkpoint: Checkpoint): void {
  writeFileSync(`${path}.new`, JSON.stringify(checkpoint));
  renameSync(`${path}.new`, path);
}

export const removeCheckpoint = (path: string): void => rmSync(path, { force: true });
