import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { History } from '../../chaos/history.js';
import { built } from '../processes.js';

/** Clients in processes of their own, each with a file in which it writes what it intends and what it was told. */
export interface Clients {
  /** SIGKILL, for each of them: what it had not been told stays unknown. Another takes its place. */
  readonly crashes: readonly (() => Promise<void>)[];
  /** Lets each have its last answer. @throws Error when one of them failed */
  end(): Promise<void>;
  /** What all of them wrote down, those that were killed included. */
  history(): History;
  remove(): void;
}

export const PLAYERS = 40;
/** More than clients are ever started in a run. */
const SEEDS_APART = 10_000;

export interface ClientsOptions {
  readonly count: number;
  readonly urls: readonly string[];
  readonly seed: number;
  /** Of each client, between an answer and its next request. */
  readonly pauseMs: number;
}

export function startClients({ count, urls, seed, pauseMs }: ClientsOptions): Clients {
  const folder = mkdtempSync(join(tmpdir(), 'fairtally-chaos-'));
  let started = 0;
  const start = (): Client => {
    started += 1;
    return startClient(`c${String(started)}`, { folder, urls, seed: seed * SEEDS_APART + started, pauseMs });
  };
  const running = Array.from({ length: count }, start);
  return {
    crashes: running.map((_, place) => async () => {
      await running[place]?.kill();
      running[place] = start();
    }),
    end: async () => {
      await Promise.all(running.map((client) => client.end()));
    },
    history: () => {
      const history = new History();
      for (const file of readdirSync(folder)) history.readLines(readFileSync(join(folder, file), 'utf8'));
      return history;
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

interface Client {
  kill(): Promise<void>;
  end(): Promise<void>;
}

function startClient(
  name: string,
  { folder, urls, seed, pauseMs }: Omit<ClientsOptions, 'count'> & { readonly folder: string },
): Client {
  const args = ['--name', name, '--file', join(folder, `${name}.log`), '--urls', urls.join(',')];
  const child: ChildProcess = spawn(
    process.execPath,
    [
      built('pkg/testkit/chaos/client-main.js'),
      ...args,
      '--players',
      String(PLAYERS),
      '--seed',
      String(seed),
      '--pause',
      String(pauseMs),
    ],
    { stdio: ['pipe', 'ignore', 'pipe'] },
  );
  let errors = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (errors = (errors + text).slice(-4_000)));
  child.stdin?.on('error', () => undefined); // it has ended already, and its exit code says why
  const exited = once(child, 'exit') as Promise<[number | null]>;
  const fail = (code: number | null): never => {
    throw new Error(`client ${name} ended with ${String(code)}: ${errors}`);
  };
  return {
    kill: async () => {
      if (child.exitCode !== null) fail(child.exitCode);
      child.kill('SIGKILL');
      await exited;
    },
    end: async () => {
      child.stdin?.end();
      const [code] = await exited;
      if (code !== 0) fail(code);
    },
  };
}
