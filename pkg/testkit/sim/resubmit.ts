import { DEFAULT_BACKOFF, DEFAULT_MAX_ATTEMPTS, deliver } from '../../bus/deliver.js';
import type { BatchHandler, BusMessage, Delivery } from '../../bus/port.js';
import { ROLES, type RoleName } from '../../kernel/roles.js';
import type { Logger } from '../../runtime/port.js';
import type { DeadLetters } from '../../worker/port.js';
import type { Broker } from './broker.js';
import { readable } from './ground.js';
import type { SimNode } from './node.js';
import { keyText } from './store/meaning.js';
import type { StoreServer } from './store/server.js';

export interface ResubmitOptions {
  readonly node: SimNode;
  readonly store: StoreServer;
  readonly broker: Broker;
  readonly handlers: Readonly<Record<RoleName, BatchHandler>>;
  readonly deadLetters: DeadLetters;
  readonly log: Logger;
}

const PAUSE_MS = 1_200;
/** Of the latest messages: some are settled by the role, some on their way to it. */
const LATEST = 8;

/**
 * What the reconciler and a redrive do to a role: events that the archive has come to it once more, beside its bus and
 * through the same handler. Then two transactions of one player run side by side, which a bus alone never lets happen.
 */
export async function resubmit(options: ResubmitOptions): Promise<void> {
  const { node, broker, handlers, deadLetters, log } = options;
  const { world, clock, random } = node;
  const { chance } = world;
  const signal = new AbortController().signal;
  while (!world.isHealed) {
    await clock.sleep(chance.between(0, PAUSE_MS) * world.swarm.pace);
    const messages = broker.published.slice(-LATEST).filter((message) => isArchived(message, options.store));
    if (messages.length === 0) continue;
    const role = chance.pick(ROLES);
    const batch = chance
      .shuffled(messages)
      .slice(0, 1 + chance.below(3))
      .map(deliveryOf);
    const policy = { maxAttempts: DEFAULT_MAX_ATTEMPTS, backoff: DEFAULT_BACKOFF, logger: log };
    await deliver(batch, handlers[role], { ...policy, deadLetters, clock, random, role, signal });
  }
}

/** Only what won its identity in the archive, under the version that it won with, is ever sent again. */
function isArchived(message: BusMessage, store: StoreServer): boolean {
  const event = readable(message);
  if (event === null) return false;
  const slot = store.table('inbox').slots.get(keyText('archive', event.dedupeDay, event.identity));
  const row = slot?.versions.at(-1)?.row;
  return row?.['content_hash'] === event.contentHash && row['definition_version'] === event.definitionVersion;
}

const deliveryOf = ({ gameId, playerId, messageId, body }: BusMessage): Delivery => ({
  ...{ gameId, playerId, messageId: `resubmission/${messageId}`, body, headers: {} },
  ...{ position: `resubmission/${messageId}`, attempt: 1 },
});
