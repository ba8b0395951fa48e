import { openBoundedLog, type BoundedLog } from './bounded-log.js';

/** Where log lines go when a person watches: all of them to a file, warnings and errors also to the person, in words. */
export interface TerminalLog {
  /** JSON lines, in any pieces. */
  write(text: string): void;
}

const PART_MAX = 100_000;

/** @param path opened with the first line, so that whoever starts may make the folder in its own way first */
export function createTerminalLog(path: string, tell: (line: string) => void): TerminalLog {
  let log: BoundedLog | null = null;
  let part = '';
  return {
    write: (text) => {
      log ??= openBoundedLog(path);
      log.write(text);
      const lines = (part + text).split('\n');
      part = (lines.pop() ?? '').slice(-PART_MAX);
      for (const line of lines) {
        const words = inWords(line);
        if (words !== null) tell(words);
      }
    },
  };
}

interface LogLine {
  readonly level?: unknown;
  readonly msg?: unknown;
  readonly err?: { readonly message?: unknown };
}

/** null for what only the file needs. What is not JSON was meant for people. */
function inWords(line: string): string | null {
  if (line === '') return null;
  let parsed: LogLine;
  try {
    parsed = JSON.parse(line) as LogLine;
  } catch {
    return line;
  }
  if (parsed.level !== 'warn' && parsed.level !== 'error') return null;
  const why = typeof parsed.err?.message === 'string' ? `: ${parsed.err.message}` : '';
  return `${parsed.level === 'error' ? 'error' : 'warning'}: ${String(parsed.msg)}${why}`;
}
