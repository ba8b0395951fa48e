import type { PlayerRef, Rederivation } from '../port.js';
import { OutageError } from '../../kernel/errors.js';
import type { RoleName } from '../../kernel/roles.js';
import type { Healed, Recounted, RederiveDeps, Rederiver, Verdict, Wrong } from './port.js';
import { answers, makeProfile } from './profile.postgres.js';
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
 * in motion, and so is a receipt whose event the archive does not have yet: the verdict is made under their lock. Where a look
 * fails it is taken in halves, down to the player at fault, who is left (`unread`) so that nobody else waits for them.
 *
 * @param isDryRun tells what it would do, and changes nothing
 * @returns what became of each player and role that looked wrong, or that has what stays wrong
 * @throws OutageError when the database does not answer
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
      const found = await lookAt(gameId, some, rederiver.role, parts);
      healed.push(...(await healFound(gameId, found, { rederiver, followed, isDryRun }, parts)));
    }
  }
  return healed;
}

/** What one look found, by player. */
type Found = ReadonlyMap<string, Recounted>;

async function lookAt(
  gameId: string,
  players: readonly string[],
  role: RoleName,
  parts: HealParts,
): Promise<Found> {
  try {
    return await parts.db.transaction((sql) => parts.recount(sql, role, gameId, players), SNAPSHOT);
  } catch (error) {
    const why = await faultOf(error, parts);
    const [player, ...others] = players;
    if (player === undefined) return new Map();
    if (others.length === 0) return new Map([[player, { wrong: [], kept: [], unfit: [], unread: why }]]);
    const middle = Math.ceil(players.length / 2);
    const first = await lookAt(gameId, players.slice(0, middle), role, parts);
    return new Map([...first, ...(await lookAt(gameId, players.slice(middle), role, parts))]);
  }
}

/** What is wrong with what was asked. @throws the error itself when the database does not answer at all */
async function faultOf(error: unknown, { db }: Pick<HealParts, 'db'>): Promise<string> {
  if (error instanceof OutageError && !(await answers(db))) throw error;
  return error instanceof Error ? error.message : String(error);
}

interface Look {
  readonly rederiver: Rederiver;
  readonly followed: Followed;
  readonly isDryRun: boolean;
}

async function healFound(
  gameId: string,
  found: Found,
  { rederiver, followed, isDryRun }: Look,
  parts: HealParts,
): Promise<readonly Healed[]> {
  const { role } = rederiver;
  const healed: Healed[] = [];
  const suspects: PlayerRef[] = [];
  for (const [playerId, { wrong, kept, unfit, unread }] of found) {
    const player = { gameId, playerId };
    const profile = unfit.filter(({ kind }) => kind === 'profile');
    if (profile.length > 0) healed.push(await healProfile(player, profile, isDryRun, parts));
    if (unread !== null) healed.push({ ...player, role, verdict: { kind: 'unread', why: unread } });
    else if (wrong.length > 0 || kept.length > 0) suspects.push(player);
  }
  if (suspects.length === 0) return healed;
  const outstanding = await readOutstanding(parts, role, gameId, followed);
  let moving = 0;
  for (const player of suspects) {
    // Each that is waited for in vain kept its rows locked: an archive that is far behind must not slow the roles down too.
    const verdict =
      outstanding === null || moving >= MOVING_MAX
        ? ({ kind: 'moving' } as const)
        : await rederiver
            .rederive(player, outstanding, isDryRun)
            .catch(async (error: unknown): Promise<Verdict> => ({
              kind: 'unread',
              why: await faultOf(error, parts),
            }));
    if (verdict.kind === 'moving') moving += 1;
    if (verdict.kind !== 'exact' || verdict.kept.length > 0) healed.push({ ...player, role, verdict });
  }
  return healed;
}

/** The profile counts what the archive has, and is all that tells of what the archive has lost. */
async function healProfile(
  player: PlayerRef,
  wrong: readonly Wrong[],
  isDryRun: boolean,
  { db }: HealParts,
): Promise<Healed> {
  const found = { ...player, role: 'archive' } as const;
  if (isDryRun) return { ...found, verdict: { kind: 'wrong', wrong, kept: [] } };
  const events = await db.transaction((sql) => makeProfile(sql, player, false));
  if (events !== null) return { ...found, verdict: { kind: 'repaired', wrong, kept: [] } };
  const [fault] = wrong;
  const why = `profile: the archive has ${fault?.expected ?? '?'}, the profile counts ${fault?.found ?? '?'}: events may be lost`;
  return { ...found, verdict: { kind: 'blocked', why } };
}
