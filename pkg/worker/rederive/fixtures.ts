import { auditParts, definitions, signer } from '../../audit/fixtures.js';
import { lookAtTruth } from '../../audit/player-truth.js';
import type { Clock } from '../../kernel/clock.js';
import { systemRandom } from '../../kernel/random.js';
import { scoreRederivation } from '../../leaderboard/rederive.js';
import type { Database } from '../../postgres/port.js';
import { progressRederivation } from '../../progression/rederive.js';
import { rederiverOf, type HealParts } from './heal.js';
import type { RederiveDeps } from './port.js';

/** A clock whose sleeps take no time and are what a test acts in. */
export function steppingClock(onSleep: () => Promise<void> | void = () => undefined): Clock {
  let nowMs = 0;
  return {
    now: () => nowMs,
    monotonicMs: () => nowMs,
    async sleep(ms) {
      nowMs += ms;
      await onSleep();
    },
  };
}

const view = { refresh: async () => undefined, refreshPlayer: async () => undefined };

/** The parts of the game of pkg/audit/fixtures.ts, without a view. */
export function healParts(
  db: Database,
  clock: Clock = steppingClock(),
  refreshPlayer: (gameId: string, playerId: string) => Promise<void> = view.refreshPlayer,
  onlyBoard: string | null = null,
): HealParts {
  const deps: RederiveDeps = {
    db,
    definitions,
    clock,
    random: systemRandom,
    recount: (sql, role, gameId, players) =>
      lookAtTruth(sql, role, gameId, players, { ...auditParts, onlyBoard }),
  };
  const progress = progressRederivation({ definitions, signer });
  const scores = scoreRederivation({ definitions, view: { ...view, refreshPlayer }, onlyBoard });
  if (onlyBoard !== null) return { ...deps, rederivers: [rederiverOf(scores, deps)] };
  return { ...deps, rederivers: [rederiverOf(progress, deps), rederiverOf(scores, deps)] };
}
