import { execFileSync, fork, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';

/** A process of the bench that answers one question at a time. */
export interface Child {
  readonly pid: number;
  ask<Answer>(question: object): Promise<Answer>;
  stop(): Promise<void>;
}

const root = new URL(import.meta.url.endsWith('.ts') ? '../dist/' : '../', import.meta.url);

/** A file of the build: what is measured is what is shipped, whatever runs this file. */
export const built = (path: string): string => fileURLToPath(new URL(path, root));

/** Starts `<name>` of this folder, on one processor where the system can pin and there is more than one. */
export async function startChild(
  name: string,
  args: readonly string[],
  core: number | null,
  nodeArgs: readonly string[] = [],
): Promise<Child> {
  const child = fork(built(`bench/${name}`), [...args], { execArgv: [...nodeArgs] });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  if (core !== null) pin(child.pid ?? 0, core);
  await answerOf(child);
  return {
    pid: child.pid ?? 0,
    ask: (question) => {
      child.send(question);
      return answerOf(child);
    },
    stop: async () => {
      child.disconnect();
      await exited;
    },
  };
}

function answerOf<Answer>(child: ChildProcess): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const onExit = (): void => reject(new Error('a process of the bench ended'));
    child.once('exit', onExit);
    child.once('message', (message) => {
      child.off('exit', onExit);
      resolve(message as Answer);
    });
  });
}

/** The other side: answers every question with what `answer` makes of it, ends when the bench is gone. */
export function serveQuestions(answer: (question: never) => Promise<object> | object): void {
  process.on('disconnect', () => process.exit());
  process.on('message', (question) => {
    void Promise.resolve(answer(question as never)).then((value) => process.send?.(value));
  });
  process.send?.({ ready: true });
}

let canPin = availableParallelism() > 1;

/** Whether processes are pinned to processors: on Linux with taskset. */
export const isPinning = (): boolean => canPin;

function pin(pid: number, core: number): void {
  if (!canPin) return;
  try {
    execFileSync('taskset', ['-a', '-p', '-c', String(core), String(pid)], { stdio: 'ignore' });
  } catch {
    canPin = false; // told in the configuration of the report
  }
}

/** Resident bytes of a process, from /proc or ps; null when neither tells. */
export function residentBytes(pid: number): number | null {
  try {
    const kib = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${String(pid)}/status`, 'utf8'))?.[1];
    return kib === undefined ? null : Number(kib) * 1024;
  } catch {
    return residentByPs(pid);
  }
}

function residentByPs(pid: number): number | null {
  try {
    const kib = Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' }).trim());
    return Number.isFinite(kib) && kib > 0 ? kib * 1024 : null;
  } catch {
    return null;
  }
}

const TICKS_PER_SECOND = 100;

/** Processor seconds of a process and of its direct children (the backends of PostgreSQL); Linux only, else null. */
export function processorSeconds(pid: number): number | null {
  try {
    const children = readFileSync(`/proc/${String(pid)}/task/${String(pid)}/children`, 'utf8');
    const pids = [String(pid), ...children.split(' ').filter((text) => text !== '')];
    return pids.map(ticksOf).reduce((sum, ticks) => sum + ticks, 0) / TICKS_PER_SECOND;
  } catch {
    return null;
  }
}

function ticksOf(pid: string): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[11]) + Number(fields[12]);
}
