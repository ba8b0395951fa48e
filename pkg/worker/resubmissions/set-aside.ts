import type { BatchHandler, Delivery } from '../../bus/port.js';
import type { AdmittedEvent } from '../../contract/event.js';
import { OutageError, PoisonError } from '../../kernel/errors.js';
import { isHeldUp, ok, type Outcome } from '../../kernel/outcome.js';
import type { RoleName } from '../../kernel/roles.js';
import type { Database } from '../../postgres/port.js';
import type { Logger, Metrics } from '../../runtime/port.js';
import { recordAction } from '../dead-letters/queries.postgres.js';
import { readEvent } from '../read-event.js';
import { backlogOf, playersAside, setAsideCopies, type PlayerOfGame } from './postgres.js';

export interface SetAsideOptions {
  readonly db: Database;
  readonly role: RoleName;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

const BY_ITSELF = { actor: 'worker', why: 'it was out of time while others were not' };
/** While so many resubmissions wait for the role nothing more is set aside: the role waits instead. */
const BACKLOG_MAX = 10_000;

/**
 * Around the handler that the bus feeds. What a dependency holds up while its neighbours go on (the rows of one player take
 * too long) is made a resubmission to its role, and then acknowledged: the bus goes on, and the event is tried beside it until
 * it takes effect. Later events of that player go behind it, so that the role sees them in their order.
 *
 * A crash between the two leaves both: the event comes again, and the pending resubmission or the inbox knows it.
 */
export function settingAside(handler: BatchHandler, options: SetAsideOptions): BatchHandler {
  const { db, role, logger, metrics } = options;
  const count = metrics.counter(
    'fairtally_events_set_aside_total',
    'Events taken off the bus to be tried beside it: they, or an earlier one of their player, were out of time alone',
    ['role'],
  );
  return async (batch) => {
    const players = new Set((await playersAside(db, role)).map(playerKey));
    const isBehind = (delivery: Delivery): boolean =>
      players.has(playerKey(delivery)) && readable(delivery) !== null;
    const free = players.size === 0 ? batch : batch.filter((delivery) => !isBehind(delivery));
    const outcomes = free.length === 0 ? [] : await handler(free);
    if (free.length === batch.length && !outcomes.some(isHeldUp)) return outcomes;
    const outcomeOf = new Map(free.map((delivery, index) => [delivery, outcomes[index]]));
    const outcomeNow = (delivery: Delivery): Outcome | null => {
      const outcome = outcomeOf.get(delivery);
      return outcome === undefined || isHeldUp(outcome) ? null : outcome;
    };
    const late = batch.filter((delivery) => outcomeNow(delivery) === null);
    await setAside(options, late);
    count.inc({ role }, late.length);
    logger.warn({ role, events: late.length }, 'events are out of time alone: they are tried beside the bus');
    return batch.map((delivery) => outcomeNow(delivery) ?? ok);
  };
}

/** All of them or none. @throws OutageError when there is no room: then the role waits with its batch */
async function setAside({ db, role }: SetAsideOptions, deliveries: readonly Delivery[]): Promise<void> {
  const copies = deliveries.map((delivery) => ({
    role,
    event: readEvent(delivery.body),
    body: delivery.body,
  }));
  await db.transaction(async (sql) => {
    if ((await backlogOf(sql, role, BACKLOG_MAX)) >= BACKLOG_MAX)
      throw new OutageError('PostgreSQL', new Error('too many events are set aside'));
    await setAsideCopies(
      sql,
      copies,
      await recordAction(sql, 'set_aside', BY_ITSELF, { events: copies.length }),
    );
  });
}

const playerKey = ({ gameId, playerId }: PlayerOfGame): string => `${gameId}\u0000${playerId}`;

/** null: it becomes a dead letter whatever its player waits for. */
function readable({ body }: Delivery): AdmittedEvent | null {
  try {
    return readEvent(body);
  } catch (error) {
    if (error instanceof PoisonError) return null;
    throw error;
  }
}
