import { History, isExact, judge, type Found } from '../chaos/history.js';
import { runKills } from '../chaos/kills.js';
import { runLoad } from '../chaos/load.js';
import { LOAD_KINDS } from '../chaos/plan.js';
import type { SignedClient } from '../client/signed-client.js';
import type { Clock } from '../kernel/clock.js';
import { OutageError } from '../kernel/errors.js';
import type { Random } from '../kernel/random.js';
import { ROLES } from '../kernel/roles.js';
import type { Output } from './output.js';

export type Victim = 'gateway' | 'worker' | 'postgres' | 'redis';

export interface CrashDemoDeps {
  readonly client: SignedClient;
  /** SIGKILL; false when there is nothing to kill at this moment. */
  readonly kill: (victim: Victim) => boolean;
  readonly victims: readonly Victim[];
  /** What stands of every event. */
  readonly found: () => Promise<Found>;
  /** Copies of events that wait for a role on the bus. */
  readonly unsettled: () => Promise<number>;
  /** Differences that the audit finds. */
  readonly audit: () => Promise<number>;
  readonly clock: Clock;
  readonly random: Random;
  readonly out: Output;
  readonly signal: AbortSignal;
}

const CLIENTS = 4;
const PLAYERS = 50;
const KILL_PAUSE_MS = [400, 1_600] as const;
const KILLS_MAX = 60;
const TELL_EVERY_MS = 5_000;
const DRAIN_MS = 60_000;
const LOOK_EVERY_MS = 200;

/**
 * Load, and SIGKILLs at random, for some seconds; then the drain, and one line that says what became of every event.
 *
 * @returns 0 when nothing was lost, doubled or unexpected and the audit agrees, else 1; 1 also when nothing was acknowledged under load, or killed, which proves nothing
 */
export async function crashDemo(seconds: number, deps: CrashDemoDeps): Promise<number> {
  const { clock, random, out, signal } = deps;
  const history = new History();
  const time = new AbortController();
  const over = AbortSignal.any([time.signal, signal]);
  const startedAtMs = clock.monotonicMs();
  const kills = new Map<Victim, number>();
  const tell = (): void => {
    const told = deps.victims.map((victim) => `${victim} ${String(kills.get(victim) ?? 0)}`).join(', ');
    const second = Math.round((clock.monotonicMs() - startedAtMs) / 1000);
    out.line(
      `${String(second).padStart(4)} s  sent ${String(history.sent)}, acknowledged ${String(history.count('ok'))}; killed: ${told}`,
    );
  };
  const killing = runKills({
    kinds: deps.victims,
    kill: deps.kill,
    pauseMs: KILL_PAUSE_MS,
    killsMax: KILLS_MAX,
    clock,
    random,
    signal: over,
    onKill: (victim) => kills.set(victim, (kills.get(victim) ?? 0) + 1),
  });
  const loads = Array.from({ length: CLIENTS }, (_, n) =>
    runLoad({
      name: `crash-${String(n)}`,
      clients: [deps.client],
      players: PLAYERS,
      history,
      clock,
      random,
      signal: over,
    }),
  );
  const telling = tellEvery(tell, deps, over);
  const ended = Promise.all([...loads, killing, telling]);
  let underLoad = 0;
  const timer = clock.sleep(seconds * 1000, signal).then(() => {
    underLoad = history.count('ok');
    time.abort();
  });
  await Promise.race([ended, timer]);
  await ended;
  if (signal.aborted) return 1;
  out.line('The load ends, nothing is killed any more; the roles catch up.');
  await drained(deps);
  const verdict = judge(history, await deps.found(), ROLES.length);
  const differences = await deps.audit();
  const killed = [...kills.values()].reduce((sum, count) => sum + count, 0);
  out.line('');
  out.line(`of these: ${LOAD_KINDS.map((kind) => `${kind} ${String(history.timesOf(kind))}`).join(', ')}`);
  out.line(
    `sent ${String(verdict.sent)}, acknowledged ${String(verdict.acknowledged)}, processes killed ${String(killed)}: ` +
      `lost ${String(verdict.lost.length)}, doubled ${String(verdict.doubled.length)}, unexpected ${String(verdict.unexpected.length)}, ` +
      `differences in the audit ${String(differences)}`,
  );
  const nothing = underLoad === 0 ? 'acknowledged under load' : killed === 0 ? 'killed' : null;
  if (nothing !== null) {
    out.line(`Nothing was ${nothing}: this run proves nothing. Try a longer one, or a quieter machine.`);
    return 1;
  }
  return isExact(verdict) && differences === 0 ? 0 : 1;
}

async function tellEvery(tell: () => void, { clock }: CrashDemoDeps, over: AbortSignal): Promise<void> {
  while (!over.aborted) {
    await clock.sleep(TELL_EVERY_MS, over);
    tell();
  }
}

async function drained({ unsettled, clock, signal }: CrashDemoDeps): Promise<void> {
  const deadlineMs = clock.monotonicMs() + DRAIN_MS;
  const look = (): Promise<number> =>
    unsettled().catch((error: unknown) => {
      if (error instanceof OutageError) return 1; // the server is still recovering
      throw error;
    });
  while ((await look()) > 0 && clock.monotonicMs() < deadlineMs && !signal.aborted)
    await clock.sleep(LOOK_EVERY_MS, signal);
}
