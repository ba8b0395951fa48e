import type { Clock } from '../kernel/clock.js';
import type { RoleName } from '../kernel/roles.js';
import type { Logger } from '../runtime/port.js';
import type { HeldMessage } from './sqs-message.js';
import type { SqsQueue } from './sqs-queue.js';

export interface KeepHiddenOptions {
  readonly queue: Pick<SqsQueue, 'hide'>;
  readonly role: RoleName;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly visibilitySeconds: number;
  /** Called when the messages must be given back, although nobody is done with them. */
  readonly onTooLong: () => void;
}

export interface Keeper {
  /** After it the messages are not touched any more, so that no late extension meets their deletion. */
  stop(): Promise<void>;
}

/** SQS hides a message for twelve hours from its receipt at most, however often that is extended; a new receipt begins anew. */
const HOLD_MAX_MS = 11 * 3_600_000;
/** Tries again this often in a visibility timeout when an extension failed. */
const RETRIES = 10;

/** Hides messages from other members while they are worked on or an outage pauses, from half of their time on. */
export function keepHidden(messages: readonly HeldMessage[], options: KeepHiddenOptions): Keeper {
  const stopping = new AbortController();
  const extending = extend(messages, options, stopping.signal);
  return {
    stop: () => {
      stopping.abort();
      return extending;
    },
  };
}

async function extend(
  messages: readonly HeldMessage[],
  { queue, role, clock, logger, visibilitySeconds, onTooLong }: KeepHiddenOptions,
  stopping: AbortSignal,
): Promise<void> {
  const visibilityMs = visibilitySeconds * 1_000;
  const giveBackAtMs = clock.monotonicMs() + HOLD_MAX_MS;
  for (let pauseMs = visibilityMs / 2; ;) {
    await clock.sleep(pauseMs, stopping);
    if (stopping.aborted) return;
    if (clock.monotonicMs() >= giveBackAtMs) {
      logger.warn({ role, messages: messages.length }, 'messages are in hand for hours: they are given back');
      onTooLong();
      return;
    }
    try {
      const lost = await queue.hide(messages, visibilitySeconds);
      if (lost.length > 0)
        logger.warn(
          { role, lost: lost.length },
          'messages in hand are not hidden any more: they will come again',
        );
      pauseMs = visibilityMs / 2;
    } catch (error) {
      logger.warn({ role, err: error }, 'messages in hand cannot be kept hidden: they may come again');
      pauseMs = visibilityMs / RETRIES;
    }
  }
}
