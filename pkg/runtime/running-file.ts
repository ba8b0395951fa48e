import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { FairtallyError } from '../kernel/errors.js';
import { hasCode } from './file-errors.js';

/** How commands reach what the holder of a data directory runs. */
export interface Running {
  readonly databaseUrl: string;
  /** Of the user who migrates; the same where one user does everything. */
  readonly ownerUrl: string;
  /** null: no Redis. */
  readonly redisUrl: string | null;
  /** Base URL of the HTTP API. */
  readonly url: string;
}

const fileOf = (dataDir: string): string => join(dataDir, 'secrets', 'running.json');

/** Says how the servers of a data directory are reached, to its owner alone (0600: the URLs hold passwords). */
export function writeRunning(dataDir: string, { databaseUrl, ownerUrl, redisUrl, url }: Running): void {
  const path = fileOf(dataDir);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  rmSync(`${path}.new`, { force: true });
  writeFileSync(`${path}.new`, `${JSON.stringify({ databaseUrl, ownerUrl, redisUrl, url })}\n`, {
    mode: 0o600,
    flag: 'wx',
  });
  renameSync(`${path}.new`, path);
}

/**
 * null when nothing says so. What it says is only true while the data directory is locked.
 *
 * @throws FairtallyError `running_unreadable`
 */
export function readRunning(dataDir: string): Running | null {
  const path = fileOf(dataDir);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return null;
    throw new FairtallyError(
      'running_unreadable',
      `${path} cannot be read: run as the user who runs Fairtally`,
      false,
      {
        cause: error,
      },
    );
  }
  const value = parsed(text);
  if (value === null)
    throw new FairtallyError(
      'running_unreadable',
      `${path} is damaged: start Fairtally again, which writes it anew`,
    );
  return value;
}

export const removeRunning = (dataDir: string): void => rmSync(fileOf(dataDir), { force: true });

function parsed(text: string): Running | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null; // the caller tells that it is damaged
  }
  if (typeof value !== 'object' || value === null) return null;
  const { databaseUrl, ownerUrl, redisUrl, url } = value as Partial<Record<keyof Running, unknown>>;
  if (typeof databaseUrl !== 'string' || typeof url !== 'string' || typeof ownerUrl !== 'string') return null;
  if (typeof redisUrl !== 'string' && redisUrl !== null) return null;
  return { databaseUrl, ownerUrl, redisUrl, url };
}
