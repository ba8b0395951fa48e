import { archiveRole } from '../../../archive/role.js';
import { DEFAULT_BACKOFF, DEFAULT_MAX_ATTEMPTS, deliver } from '../../../bus/deliver.js';
import type { Delivery } from '../../../bus/port.js';
import { encodeEvent, type AdmittedEvent, type JsonObject } from '../../../contract/event.js';
import { fairnessRole } from '../../../fairness/role.js';
import { systemClock } from '../../../kernel/clock.js';
import { leaderboardRole } from '../../../leaderboard/role.js';
import { createProgressionRole } from '../../../progression/role.js';
import { createDeadLetters } from '../../../worker/dead-letters/postgres.js';
import { createDispatch } from '../../../worker/dispatch.js';
import type { Role } from '../../../worker/port.js';
import { admittedEvent } from '../../admitted-event.js';
import { quietLogger, quietMetrics } from '../../quiet.js';
import { Chance } from '../chance.js';
import { definitionOf, DEDUPE_FLOOR, ROLLOVER_MS } from '../game.js';
import { simSigner } from '../signer.js';
import type { Engine } from './two-engines.js';

const EVENTS = 150;
const BATCH = 12;

/** Gains, kills, drops, types that nobody knows; some twice, some under a taken id, some that nobody can apply. */
function deliveries(): Delivery[] {
  const chance = new Chance(11);
  const made: AdmittedEvent[] = [];
  for (let n = 0; n < EVENTS; n += 1) {
    const before = made.length > 0 && chance.is(0.15) ? chance.pick(made) : null;
    if (before !== null && chance.is(0.5)) {
      made.push(before);
      continue;
    }
    const type = chance.pick(['progression', 'boss_kill', 'drop_claimed', 'chat']);
    made.push(
      admittedEvent({
        ...{
          id: before?.id ?? `e-${String(n)}`,
          playerId: before?.playerId ?? `p-${String(chance.below(4))}`,
          type,
        },
        tsMs: chance.is(0.03)
          ? Date.parse(DEDUPE_FLOOR) - 1
          : ROLLOVER_MS + Math.floor(chance.between(-90_000, 90_000)),
        ...{
          payload: payloadOf(type, chance),
          mapped: type !== 'chat',
          definitionVersion: 1 + chance.below(2),
        },
      }),
    );
  }
  return made.map((event, n) => ({
    ...{ gameId: event.gameId, playerId: event.playerId, messageId: String(n), position: `0/${String(n)}` },
    ...{ headers: {}, attempt: 1, body: n % 40 === 39 ? '{' : encodeEvent(event) },
  }));
}

function payloadOf(type: string, chance: Chance): JsonObject {
  const few = chance.below(3);
  if (type === 'boss_kill')
    return {
      bossId: `b-${String(few)}`,
      durationMs: 1 + chance.below(chance.is(0.2) ? 900 : 9),
      guild: `g-${String(few)}`,
    };
  if (type === 'drop_claimed') return { dropId: `d-${String(chance.below(9))}`, itemId: 'sword' };
  return { deltaXp: chance.is(0.05) ? 'many' : chance.below(chance.is(0.1) ? 4_000 : 90), activity: 'quest' };
}

/** Everything through every role, as a bus would hand it out. */
export async function applyBatches(engine: Engine): Promise<void> {
  const { db } = engine;
  const definitions = {
    inForce: async (gameId: string) => definitionOf(gameId, 2),
    version: async (gameId: string, version: number) => definitionOf(gameId, version),
  };
  const random = new Chance(5);
  const deadLetters = createDeadLetters({ db, codeVersion: 'test' });
  const shared = { deadLetters, clock: systemClock, random, logger: quietLogger };
  const run = async <State, Changes>(role: Role<State, Changes>): Promise<void> => {
    const handler = createDispatch({ ...shared, db, role, definitions, metrics: quietMetrics });
    const policy = {
      maxAttempts: DEFAULT_MAX_ATTEMPTS,
      backoff: DEFAULT_BACKOFF,
      signal: new AbortController().signal,
    };
    const all = deliveries();
    for (let at = 0; at < all.length; at += BATCH)
      await deliver(all.slice(at, at + BATCH), handler, { ...shared, ...policy, role: role.name });
  };
  await engine.finish(run(archiveRole));
  await engine.finish(run(createProgressionRole({ definitions, signer: simSigner })));
  await engine.finish(run(leaderboardRole({ refresh: async () => undefined })));
  await engine.finish(run(fairnessRole));
}
