import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** A real process of the product, started from the build. */
export interface TestProcess {
  readonly pid: number;
  readonly name: string;
  /** Everything it printed so far; the latest part of a long output. */
  output(): string;
  /** Resolves when a line matches; rejects when the process ends first or the bound passes. */
  waitFor(pattern: RegExp, timeoutMs?: number): Promise<RegExpMatchArray>;
  kill(signal: NodeJS.Signals): void;
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  readonly isRunning: boolean;
}

const OUTPUT_MAX = 1_000_000;
const WAIT_MS = 90_000;
const running = new Set<ChildProcess>();

/** What a test leaves running dies with the test run. */
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Where the build is: around this file when it is a part of it. */
const BUILD = new URL(import.meta.url.endsWith('.ts') ? '../../dist/' : '../../', import.meta.url);

/** Absolute path of a file of the build, such as `cmd/gateway/main.js`. */
export const built = (path: string): string => fileURLToPath(new URL(path, BUILD));

/** Only what is given and what a program needs to run: no variable of the caller slips in. */
export const cleanEnvironment = (variables: Readonly<Record<string, string>>): Record<string, string> => ({
  PATH: process.env['PATH'] ?? '',
  HOME: process.env['HOME'] ?? '/',
  TMPDIR: process.env['TMPDIR'] ?? '/tmp',
  ...variables,
});

export function startProcess(
  name: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  cwd?: string,
): TestProcess {
  const child = spawn(process.execPath, [...args], {
    env: cleanEnvironment(env),
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(cwd === undefined ? {} : { cwd }),
  });
  running.add(child);
  let output = '';
  const listeners = new Set<() => void>();
  const hear = (chunk: Buffer): void => {
    output = (output + chunk.toString('utf8')).slice(-OUTPUT_MAX);
    for (const listener of listeners) listener();
  };
  child.stdout.on('data', hear);
  child.stderr.on('data', hear);
  let isRunning = true;
  const exited = once(child, 'exit').then(([code, signal]) => {
    isRunning = false;
    running.delete(child);
    for (const listener of listeners) listener();
    return { code: code as number | null, signal: signal as NodeJS.Signals | null };
  });
  return {
    pid: child.pid ?? -1,
    name,
    output: () => output,
    exited,
    kill: (signal) => void child.kill(signal),
    get isRunning() {
      return isRunning;
    },
    waitFor: (pattern, timeoutMs = WAIT_MS) =>
      new Promise((resolve, reject) => {
        const finish = (settle: () => void): void => {
          clearTimeout(timer);
          listeners.delete(look);
          settle();
        };
        const fail = (why: string): void =>
          finish(() =>
            reject(new Error(`${name}: ${why} before ${String(pattern)}:\n${output.slice(-4000)}`)),
          );
        const look = (): void => {
          const match = output.match(pattern);
          if (match !== null) finish(() => resolve(match));
          else if (!isRunning) fail('ended');
        };
        const timer = setTimeout(() => fail('time ran out'), timeoutMs);
        listeners.add(look);
        look();
      }),
  };
}
