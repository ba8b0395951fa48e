import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './postgres-server.js';

/** A real redis-server for tests: no persistence, a free port of 127.0.0.1. */
export interface RedisServer {
  readonly port: number;
  readonly url: string;
  stop(): Promise<void>;
  /** SIGSTOP and SIGCONT: it keeps its connections and answers nothing until it goes on. */
  freeze(): void;
  thaw(): void;
  /** SIGKILL: everything it held is gone. */
  kill(): Promise<void>;
  /** Starts again, empty, on the same port. */
  start(): Promise<void>;
}

export async function startRedisServer(): Promise<RedisServer> {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'fairtally-redis-'));
  let child: ChildProcess | null = null;
  const start = async (): Promise<void> => {
    const args = [
      '--port',
      String(port),
      '--bind',
      '127.0.0.1',
      '--save',
      '',
      '--appendonly',
      'no',
      '--dir',
      folder,
    ];
    child = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const { stdout } = child;
    if (stdout === null) throw new Error('redis-server has no output');
    await new Promise<void>((resolve, reject) => {
      child?.once('error', reject);
      child?.once('exit', () => reject(new Error('redis-server ended at start')));
      stdout.on('data', (chunk: Buffer) => {
        if (/Ready to accept connections/.test(chunk.toString('utf8'))) resolve();
      });
    });
  };
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    const current = child;
    child = null;
    if (current === null || current.exitCode !== null) return;
    current.kill(signal);
    await once(current, 'exit');
  };
  await start();
  return {
    port,
    url: `redis://127.0.0.1:${String(port)}`,
    stop: async () => {
      await end('SIGTERM');
      rmSync(folder, { recursive: true, force: true });
    },
    freeze: () => void child?.kill('SIGSTOP'),
    thaw: () => void child?.kill('SIGCONT'),
    kill: () => end('SIGKILL'),
    start,
  };
}
