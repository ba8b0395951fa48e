import { appendFileSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/** Where a child server's output goes: two files of bounded size, and its last lines in memory. */
export interface BoundedLog {
  readonly path: string;
  write(text: string): void;
  /** The last lines written by this process, for the message of a failure. */
  tail(): string;
}

const FILE_BYTES_MAX = 1_048_576;
const TAIL_CHARACTERS = 2_000;

/** Appends to `path`; when it is full it becomes `<path>.1`, in the place of the one before. Output is rare: it writes synchronously. */
export function openBoundedLog(path: string, fileBytesMax: number = FILE_BYTES_MAX): BoundedLog {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  let size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  let last = '';
  return {
    path,
    write: (text) => {
      last = (last + text).slice(-TAIL_CHARACTERS);
      const bytes = Buffer.from(text).subarray(0, fileBytesMax);
      try {
        if (size > 0 && size + bytes.length > fileBytesMax) {
          renameSync(path, `${path}.1`);
          size = 0;
        }
        appendFileSync(path, bytes, { mode: 0o600 });
        size += bytes.length;
      } catch {
        // A full disk must not end us because a child remarks on it; its words stay in the tail.
        return;
      }
    },
    tail: () => last.slice(last.length < TAIL_CHARACTERS ? 0 : last.indexOf('\n') + 1).trim(),
  };
}
