import { fork, type ChildProcess } from 'node:child_process';
import type { Clock } from '../../pkg/kernel/clock.js';
import { FairtallyError } from '../../pkg/kernel/errors.js';
import type { Logger } from '../../pkg/runtime/port.js';
import { restartAfter } from './restart-rule.js';

/** One process of the all-in-one. */
export interface ChildPlan {
  readonly name: string;
  readonly script: string;
  readonly env: Readonly<Record<string, string>>;
}

export interface Supervisor {
  /** Resolves when every child said it is ready. */
  readonly ready: Promise<void>;
  /** Rejects when a child could not be kept alive. */
  readonly failed: Promise<never>;
  /** null while a child is between two lives. */
  pidOf(name: string): number | null;
  /** SIGTERM to all, then waits; what is left after the deadline is killed. */
  stop(): Promise<void>;
}

export interface SupervisorDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Takes what the children print; null: they print where this process does. */
  readonly writeLog: ((text: string) => void) | null;
}

const STOP_DEADLINE_MS = 20_000;

/** Starts the processes of the all-in-one and starts again one that dies, so that a crash of one is not a crash of all. */
export function supervise(
  plans: readonly ChildPlan[],
  { clock, logger, writeLog }: SupervisorDeps,
): Supervisor {
  const children = new Map<string, ChildProcess>();
  const wasReady = new Set<string>();
  let isStopping = false;
  let fail: (error: Error) => void = () => undefined;
  const failed = new Promise<never>((_resolve, reject) => (fail = reject));
  failed.catch(() => undefined); // observed by whoever waits; a stop before that must not end the process

  const start = (plan: ChildPlan, restarts: number, onReady: () => void): void => {
    // The channel tells the child when this process is gone, even by SIGKILL: it then stops by itself.
    const child = fork(plan.script, {
      env: plan.env,
      stdio: writeLog === null ? ['ignore', 'inherit', 'inherit', 'ipc'] : ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => writeLog?.(text));
    const startedAt = clock.monotonicMs();
    children.set(plan.name, child);
    child.on('message', (message) => {
      if (message !== 'ready') return;
      wasReady.add(plan.name);
      onReady();
    });
    child.once('exit', (code, signal) => {
      children.delete(plan.name);
      if (isStopping) return;
      const restart = restartAfter({
        code,
        signal,
        wasReady: wasReady.has(plan.name),
        livedMs: clock.monotonicMs() - startedAt,
        restarts,
      });
      if (restart === null) {
        fail(
          new FairtallyError(
            'child_ended',
            `the ${plan.name} ended (${signal ?? String(code)}) and is not started again: see the log`,
          ),
        );
        return;
      }
      logger.warn({ process: plan.name, code, signal, ...restart }, 'a process ended; starting it again');
      void clock.sleep(restart.afterMs).then(() => {
        if (!isStopping) start(plan, restart.restarts, onReady);
      });
    });
  };

  const ready = Promise.all(
    plans.map((plan) => new Promise<void>((resolve) => start(plan, 0, resolve))),
  ).then(() => undefined);
  return {
    ready,
    failed,
    pidOf: (name) => children.get(name)?.pid ?? null,
    stop: () => {
      isStopping = true;
      return stopAll(children, clock);
    },
  };
}

async function stopAll(children: ReadonlyMap<string, ChildProcess>, clock: Clock): Promise<void> {
  const abort = new AbortController();
  const gone = [...children.values()].map(
    (child) =>
      new Promise<void>((resolve) => {
        child.once('exit', () => resolve());
        child.kill('SIGTERM');
      }),
  );
  const deadline = clock.sleep(STOP_DEADLINE_MS, abort.signal).then(() => {
    if (abort.signal.aborted) return;
    for (const child of children.values()) child.kill('SIGKILL');
  });
  await Promise.all(gone);
  abort.abort();
  await deadline;
}
