import { Violation } from './ground.js';
import type { System } from './system.js';

/** Beyond that a store of keys has forgotten some, as it may. */
const KEEPS_ALL = 1_000;

/** I4: while the store keeps its data one key has one answer, and no other body passes under it. */
export function checkKeys({ history, world }: System): void {
  if (world.swarm.keysMax < KEEPS_ALL) return;
  for (const { isOther, first, answer } of history.repeats) {
    world.coverage.saw(isOther ? 'key with another body' : 'key again');
    if (isOther && (answer.status !== 409 || !answer.body.includes('idempotency_key_reused')))
      throw new Violation('I4', `another body under a known key was answered ${String(answer.status)}`);
    if (!isOther && (answer.status !== first.status || answer.body !== first.body))
      throw new Violation('I4', `one request was answered ${first.body} and then ${answer.body}`);
  }
}

/** I1 for recordings: what the replay passed over was answered for good. */
export function checkReplay({ replayer, history, world }: System): void {
  for (const intent of replayer.recorded) {
    if (intent === null) continue;
    const { acknowledged, refused } = history.fateOf(intent);
    world.coverage.saw('recorded event');
    if (acknowledged + refused === 0)
      throw new Violation('I1', `the replay passed over ${intent.id}, which nobody answered for`);
  }
  const { line, tally } = replayer.kept;
  const counted =
    tally.accepted + tally.duplicates + Object.values(tally.rejected).reduce((sum, n) => sum + n, 0);
  if (line !== replayer.recorded.length || counted !== line)
    throw new Violation(
      'I1',
      `the replay counts ${String(counted)} of ${String(replayer.recorded.length)} lines`,
    );
}

/** I16: nothing that is written or answered shows a secret. */
export function checkSecrets({ log, history, store }: System): void {
  if (log.leak !== null) throw new Violation('I16', `a secret stands in the log: ${log.leak}`);
  const [leak] = history.leaks;
  if (leak !== undefined) throw new Violation('I16', `a secret was answered: ${leak}`);
  for (const table of ['dead_letters', 'resubmissions', 'operator_actions', 'events'])
    for (const row of store.committed(table))
      if (Object.values(row).some((value) => typeof value === 'string' && log.isSecret(value)))
        throw new Violation('I16', `a secret stands in ${table}: ${JSON.stringify(row)}`);
}
