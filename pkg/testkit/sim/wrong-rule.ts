import { PoisonError } from '../../kernel/errors.js';
import type { Role } from '../../worker/port.js';
import type { SimNode } from './node.js';
import { START_MS } from './world.js';

export const WRONG_RULE = 'wrong_rule';
const FROM_MS = START_MS + 5_000;
const MENDED_MS = START_MS + 60_000;
/** Each process is deployed anew a little later than the others. */
const LATE_MS = 4_000;

/** A build of progression that refuses events of some players for a while: their letters are what a redrive is for. */
export function withWrongRule<State, Changes>(
  role: Role<State, Changes>,
  node: SimNode,
): Role<State, Changes> {
  const { world } = node;
  if (role.name !== 'progression' || !world.swarm.hasWrongRule) return role;
  const lateMs = world.chance.between(0, LATE_MS);
  return {
    ...role,
    fold: (state, events) => {
      const isWrong = world.nowMs > FROM_MS + lateMs && world.nowMs < MENDED_MS + lateMs;
      if (isWrong && !world.isHealed && events.some(({ event }) => event.tsMs % 5 === 0))
        throw new PoisonError(WRONG_RULE, 'the rule of this build is wrong');
      return role.fold(state, events);
    },
  };
}
