import type { PlayerRef, Rederivation } from '../port.js';
import type { Healed, Recounted, RederiveDeps, Rederiver } from './port.js';
import { followRole, readOutstanding, type Followed } from './outstanding.js';
import { rederivePlayer } from './rederive.js';

export const rederiverOf = <State>(rederivation: Rederivation<State>, deps: RederiveDeps): Rederiver => ({
  role: rederivation.role,
  rederive: (player, outstanding, isDryRun) =>
    rederivePlayer(rederivation, player, outstanding, deps, isDryRun),
});

export interface HealParts extends RederiveDeps {
  readonly rederivers: readonly Rederiver[];
}

const SNAPSHOT = { isolation: 'repeatable read', readOnly: true } as const;
const MOVING_MAX = 2;
/** An inbox that was not followed for long is followed in parts, so that a look stays short. */
const FOLLOW_BUDGET_MS = 2_000;
/** What a look asks for is one snapshot's work. */
export const LOOK_PLAYERS_MAX = 200;

/**
 * Looks at some players of a game in one snapshot, role by role, and makes those again that look wrong. Most that do are only
 * in motion; the verdict is made under their lock.
 *
 * @param isDryRun tells what it would do, and changes nothing
 * @returns what became of each player and role that looked wrong, or that has what stays wrong
 * @throws OutageError
 */
export async function healPlayers(
  gameId: string,
  players: readonly string[],
  parts: HealParts,
  isDryRun = false,
): Promise<readonly Healed[]> {
  const healed: Healed[] = [];
  if (players.length === 0) return healed;
  for (const rederiver of parts.rederivers) {
    const followed = await followRole(parts, rederiver.role, FOLLOW_BUDGET_MS);
    for (let at = 0; at < players.length; at += LOOK_PLAYERS_MAX) {
      const some = players.slice(at, at + LOOK_PLAYERS_MAX);
      const found = await parts.db.transaction(
        (sql) => parts.recount(sql, rederiver.role, gameId, some),
        SNAPSHOT,
      );
      healed.push(...(await healFound(gameId, found, { rederiver, followed, isDryRun }, parts)));
    }
  }
  return healed;
}

interface Look {
  readonly rederiver: Rederiver;
  readonly followed: Followed;
  readonly isDryRun: boolean;
}

async function healFound(
  gameId: string,
  found: ReadonlyMap<string, Recounted>,
  { rederiver, followed, isDryRun }: Look,
  parts: HealParts,
): Promise<readonly Healed[]> {
  const { role } = rederiver;
  const healed: Healed[] = [];
  const suspects: PlayerRef[] = [];
  for (const [playerId, { wrong, kept }] of found) {
    if (wrong.length > 0) suspects.push({ gameId, playerId });
    else if (kept.length > 0) healed.push({ gameId, playerId, role, verdict: { kind: 'exact', kept } });
  }
  if (suspects.length === 0) return healed;
  const outstanding = await readOutstanding(parts, role, gameId, followed);
  let moving = 0;
  for (const player of suspects) {
    // Each that is waited for in vain kept its rows locked: an archive that is far behind must not slow the roles down too.
    const verdict =
      outstanding === null || moving >= MOVING_MAX
        ? ({ kind: 'moving' } as const)
        : await rederiver.rederive(player, outstanding, isDryRun);
    if (verdict.kind === 'moving') moving += 1;
    if (verdict.kind !== 'exact' || verdict.kept.length > 0) healed.push({ ...player, role, verdict });
  }
  return healed;
}
