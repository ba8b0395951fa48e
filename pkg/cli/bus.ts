import type { BusOperator, Created } from '../bus/operator.js';
import type { Bus, DeadLetterSink } from '../bus/port.js';
import type { Clock } from '../kernel/clock.js';
import { FairtallyError } from '../kernel/errors.js';
import type { RoleName } from '../kernel/roles.js';
import type { Output } from './output.js';
import { countOf } from './plural.js';
import { table } from './table.js';

/** Prints what the engine has beside what it should have. 1 when anything differs. */
export async function checkBus(operator: Pick<BusOperator, 'check'>, out: Output): Promise<number> {
  const items = await operator.check();
  const wrong = items.filter(({ isRight }) => !isRight);
  out.line(
    table(
      ['resource', 'setting', 'expected', 'found', ''],
      items.map(({ resource, setting, expected, found, isRight }) => [
        resource,
        setting,
        expected,
        found ?? 'none',
        isRight ? 'right' : 'DIFFERS',
      ]),
    ),
  );
  out.line(
    wrong.length === 0
      ? 'The bus is as it should be.'
      : `Settings that differ: ${String(wrong.length)} of ${String(items.length)}. \`fairtally bus create\` sets what may be set.`,
  );
  return wrong.length === 0 ? 0 : 1;
}

const RESULTS: Readonly<Record<Created['result'], string>> = {
  made: 'made',
  changed: 'changed',
  was_right: 'was right',
  denied: 'NOT ALLOWED',
  cannot_change: 'CANNOT BE CHANGED',
};

/** Makes and sets what is missing. 1 when something is left to do by hand, which is printed. */
export async function createBusTopology(operator: Pick<BusOperator, 'create'>, out: Output): Promise<number> {
  const done = await operator.create();
  out.line(
    table(
      ['resource', ''],
      done.map(({ resource, result }) => [resource, RESULTS[result]]),
    ),
  );
  const left = done.filter(({ result }) => result === 'denied' || result === 'cannot_change');
  if (left.length === 0) return 0;
  out.line('What an operator with the rights for it must still do:');
  for (const { resource, byHand } of left) out.line(`  ${resource}: ${byHand ?? 'make it anew'}`);
  return 1;
}

/** Lets roles read again what was published since an instant. @throws FairtallyError `no_rewind`, and those of the operator */
export async function rewindBus(
  { toMs, roles }: { readonly toMs: number; readonly roles: readonly RoleName[] },
  operator: Pick<BusOperator, 'rewind'>,
  out: Output,
): Promise<number> {
  if (operator.rewind === undefined) {
    throw new FairtallyError(
      'no_rewind',
      'this bus forgets what was read: `fairtally reconcile` brings roles what the archive has, `fairtally replay` what you kept',
    );
  }
  const done = await operator.rewind(toMs, roles);
  out.line(
    table(
      ['role', 'moved back', 'messages that come again'],
      done.map(({ role, moved, messages }) => [role, moved, messages ?? 'unknown']),
    ),
  );
  out.line('Start the workers: what took effect before is known to their inboxes and counts once.');
  return 0;
}

/** Brings what the engine itself gave up into the dead letters. @throws FairtallyError `nothing_to_collect` */
export async function collectFromBus(
  { sink, roles }: { readonly sink: DeadLetterSink; readonly roles: readonly RoleName[] },
  operator: Pick<BusOperator, 'collect'>,
  out: Output,
): Promise<number> {
  if (operator.collect === undefined)
    throw new FairtallyError('nothing_to_collect', 'this bus has no dead letter queue of its own');
  const done = await operator.collect(sink, roles);
  out.line(
    table(
      ['role', 'brought in'],
      done.map(({ role, messages }) => [role, messages]),
    ),
  );
  if (done.some(({ messages }) => messages > 0))
    out.line('They are dead letters now: `fairtally dead list`, then `dead redrive` or `dead drop`.');
  return 0;
}

export interface DrainDeps {
  readonly bus: Pick<Bus, 'lag'>;
  /** Processes that may still publish to it. */
  readonly publishers: () => Promise<number>;
  readonly roles: readonly RoleName[];
  readonly clock: Pick<Clock, 'sleep'>;
  readonly signal: AbortSignal;
  readonly out: Output;
  /** Called when nothing waits. Rejects with a FairtallyError when somebody began to publish meanwhile. */
  readonly noteDrained: () => Promise<void>;
}

const LOOK_EVERY_MS = 1_000;
/** So many looks with the same answer are told again: who waits for somebody else should not forget for whom. */
const REMIND_AFTER = 30;
/** Engines that count approximately may say zero too early: only so many looks in a row are believed. */
const LOOKS = 5;

/** Waits until nobody publishes any more and no role has anything to read, then notes it. 1 when it was interrupted. */
export async function drainBus(deps: DrainDeps): Promise<number> {
  const { clock, signal, out } = deps;
  let told = '';
  for (let quiet = 0, looks = 0; ; looks += 1) {
    const left = await whatIsLeft(deps);
    quiet = left === '' ? quiet + 1 : 0;
    if (left !== '' && (left !== told || looks % REMIND_AFTER === 0)) out.line(`Waiting: ${left}`);
    told = left;
    if (quiet === LOOKS && (await isNoted(deps))) break;
    quiet %= LOOKS;
    await clock.sleep(LOOK_EVERY_MS, signal);
    if (signal.aborted) return 1;
  }
  out.line('Nothing waits on this bus: another may be used now.');
  return 0;
}

/** In words; empty when there is nothing. */
async function whatIsLeft({ bus, roles, publishers }: DrainDeps): Promise<string> {
  const lags = await Promise.all(roles.map(async (role) => ({ role, ...(await bus.lag(role)) })));
  const gateways = await publishers();
  return [
    ...(gateways > 0 ? [`${countOf(gateways, 'gateway')} still publishing to it (to be stopped)`] : []),
    ...lags.filter(({ waiting }) => waiting > 0).map(({ role, waiting }) => `${role} ${String(waiting)}`),
    ...lags
      .filter(({ brokerDead }) => (brokerDead ?? 0) > 0)
      .map(
        ({ role, brokerDead }) =>
          `${role} ${String(brokerDead)} that the broker gave up (\`fairtally bus collect\`)`,
      ),
  ].join(', ');
}

/** A gateway that began to publish after the last look is waited for like any other. */
async function isNoted({ noteDrained }: DrainDeps): Promise<boolean> {
  try {
    await noteDrained();
    return true;
  } catch (error) {
    if (error instanceof FairtallyError && !error.retriable) return false;
    throw error;
  }
}
