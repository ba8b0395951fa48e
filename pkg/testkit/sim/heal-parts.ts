import { archiveRole } from '../../archive/role.js';
import { lookAtTruth } from '../../audit/player-truth.js';
import { fairnessRole } from '../../fairness/role.js';
import type { DefinitionSource, GameDefinition } from '../../games/port.js';
import type { Clock } from '../../kernel/clock.js';
import type { Random } from '../../kernel/random.js';
import type { RoleName } from '../../kernel/roles.js';
import { boardNames, scoreRederivation } from '../../leaderboard/rederive.js';
import { subjectRederivation } from '../../leaderboard/rederive-subjects.js';
import { leaderboardRole } from '../../leaderboard/role.js';
import type { BoardView } from '../../leaderboard/view.js';
import type { Database } from '../../postgres/port.js';
import { progressRederivation } from '../../progression/rederive.js';
import { createProgressionRole } from '../../progression/role.js';
import type { Rederivation } from '../../worker/port.js';
import { rederiverOf, type HealParts } from '../../worker/rederive/heal.js';
import type { RederiveDeps } from '../../worker/rederive/port.js';
import { rederiveShared, type SharedHealed } from '../../worker/rederive/shared.js';
import { simSigner } from './signer.js';

/** What cmd/heal.ts wires for production, with the simulated signer. */

export interface HealEngines {
  readonly db: Database;
  readonly definitions: Pick<DefinitionSource, 'version'>;
  readonly view: Pick<BoardView, 'refresh' | 'refreshPlayer' | 'refreshSubjects'>;
  readonly clock: Clock;
  readonly random: Random;
  /** A stand-in for what makes a role's effects again. */
  double?<State>(rederivation: Rederivation<State>, db: Database): Rederivation<State>;
}

const takesOf = ({
  definitions,
  view,
}: HealEngines): ((role: RoleName, of: GameDefinition, type: string) => boolean) => {
  const rules = {
    archive: archiveRole.takes,
    progression: createProgressionRole({ definitions, signer: simSigner }).takes,
    leaderboard: leaderboardRole(view).takes,
    fairness: fairnessRole.takes,
  };
  return (role, definition, type) => rules[role](definition, type, definition.eventTypes.has(type));
};

/** What makes players again. */
export function healPartsOf(engines: HealEngines): HealParts {
  const { db, definitions, view, clock, random } = engines;
  const takes = takesOf(engines);
  const deps: RederiveDeps = {
    ...{ db, definitions, clock, random },
    recount: (sql, role, gameId, players) => lookAtTruth(sql, role, gameId, players, { definitions, takes }),
  };
  const doubled = <State>(rederivation: Rederivation<State>): Rederivation<State> =>
    engines.double?.(rederivation, db) ?? rederivation;
  const progress = doubled(progressRederivation({ definitions, signer: simSigner }));
  const scores = doubled(scoreRederivation({ definitions, view }));
  return { ...deps, rederivers: [rederiverOf(progress, deps), rederiverOf(scores, deps)] };
}

/** Makes the boards of a game again that rank something else than players. */
export async function healSharedOf(
  gameId: string,
  { db, definitions, view, clock, random }: HealEngines,
  isDryRun: boolean,
): Promise<SharedHealed> {
  const { ofSubjects: boards } = await boardNames(db, gameId, definitions);
  const rederivation = subjectRederivation({ definitions, view, gameId, boards });
  const label = [...boards].sort().join(', ');
  return rederiveShared({ db, definitions, clock, random, gameId, rederivation, label }, isDryRun);
}
