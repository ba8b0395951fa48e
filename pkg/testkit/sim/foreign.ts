import type { BusMessage } from '../../bus/port.js';
import { encodeEvent, type AdmittedEvent } from '../../contract/event.js';
import { messageIdOf } from '../../contract/identity.js';
import { admittedEvent } from '../admitted-event.js';
import { DEDUPE_FLOOR } from './game.js';
import type { World } from './world.js';

/** Why a letter may stand that no client caused, by what was put on the bus. */
export const FOREIGN_REASONS: ReadonlySet<string> = new Set([
  'unreadable',
  'bad_payload',
  'payload_mismatch',
  'event_too_old',
]);

/** A message that no gateway would publish: a bus is not trusted, and its neighbours must not suffer. */
export function foreignMessage(world: World): BusMessage {
  const { chance } = world;
  const playerId = `p-${String(chance.below(world.swarm.players))}`;
  const id = `foreign-${String(world.steps)}`;
  if (chance.is(0.3)) return { gameId: 'demo', playerId, messageId: id, body: '{"v":1,"gameId":' };
  if (chance.is(0.2) && world.takesKiller())
    return messageOf(
      admittedEvent({
        id: `foreign-killer-${id}`,
        playerId,
        tsMs: Math.floor(world.nowMs),
        payload: { deltaXp: 5, activity: 'quest' },
      }),
    );
  const isOld = chance.is(0.4);
  const tsMs = isOld ? Date.parse(DEDUPE_FLOOR) - 1 : Math.floor(world.nowMs);
  const payload = isOld ? { deltaXp: 5, activity: 'quest' } : { deltaXp: 'many', activity: 'quest' };
  return messageOf(admittedEvent({ id, playerId, tsMs, payload }));
}

const messageOf = (event: AdmittedEvent): BusMessage => ({
  ...{ gameId: event.gameId, playerId: event.playerId, body: encodeEvent(event) },
  messageId: messageIdOf(event.identity, event.contentHash, 0),
});
