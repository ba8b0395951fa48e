import type { Clock } from '../kernel/clock.js';
import type { Random } from '../kernel/random.js';
import type { RoleName } from '../kernel/roles.js';
import type { Logger } from '../runtime/port.js';
import { backoffMs, type BackoffRule } from './backoff.js';
import type { Subscription } from './port.js';

export interface MembershipOptions {
  readonly role: RoleName;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Pauses between memberships; the first one after a join that succeeded. */
  readonly rejoin: BackoffRule;
  /** What is logged when a membership ends with an error, other than at its close. */
  readonly onErrorText: string;
}

/**
 * One member of a role: joins, works, and joins again by itself when its membership ends, until it is closed.
 *
 * @param beMember from joining to the end of the membership, by an error or by `closing`; calls `onJoin` when it has joined
 */
export function keepMembership(
  options: MembershipOptions,
  beMember: (closing: AbortSignal, onJoin: () => void) => Promise<void>,
): Subscription {
  const { role, clock, random, logger, rejoin, onErrorText } = options;
  const closing = new AbortController();
  const { signal } = closing;
  const stay = async (): Promise<void> => {
    for (let failures = 0; !signal.aborted;) {
      try {
        await beMember(signal, () => (failures = 0));
      } catch (error) {
        if (signal.aborted) logger.debug({ role, err: error }, 'the role left with an error');
        else logger.warn({ role, err: error }, onErrorText);
      }
      failures += 1;
      if (!signal.aborted) await clock.sleep(backoffMs(rejoin, failures, random), signal);
    }
  };
  const ended = stay();
  return {
    close: () => {
      closing.abort();
      return ended;
    },
  };
}
