import type { IncomingMessage } from 'node:http';
import { RequestProblem } from '../../http/request-problem.js';
import { GAME_ROLES, type GameRole, type Person } from '../port.js';
import type { Operation } from './document.js';

/** Who is signed in and what they may do in a game (null: nothing, or there is no such game); null: nobody. */
export type Access = (
  request: IncomingMessage,
  gameId: string | null,
) => Promise<{ readonly person: Person; readonly role: GameRole | null } | null>;

export interface Admitted {
  readonly person: Person | null;
  readonly role: GameRole | null;
}

/** Whether a role reaches as far as the one that is asked. */
export const reaches = (role: GameRole, asked: GameRole): boolean =>
  GAME_ROLES.indexOf(role) >= GAME_ROLES.indexOf(asked);

/** What everybody may do who has signed in. */
const OWN_SESSION = '/admin/v1/auth/';

/**
 * Whoever gave a first password still knows it. Admins of all games are exempt: theirs is made by a command on the machine
 * itself, for the one who runs it, and the page reminds them.
 */
const isGivenPassword = ({ mustChangePassword, isAdminOfAll }: Person): boolean =>
  mustChangePassword && !isAdminOfAll;

/**
 * The one place where an operation's `x-role` is asked. The database is asked each time, so that a role that was taken or a
 * session that was ended is over with the next request.
 *
 * @throws RequestProblem `not_signed_in`; `password_change_required`; `not_found` for a game in which one has no role; `forbidden`
 */
export async function admit(
  { role: asked, isOfGame, path }: Operation,
  request: IncomingMessage,
  gameId: string | undefined,
  access: Access,
): Promise<Admitted> {
  if (asked === 'anyone') return { person: null, role: null };
  const found = await access(request, isOfGame ? (gameId ?? '') : null);
  if (found === null) throw new RequestProblem('not_signed_in');
  if (!path.startsWith(OWN_SESSION) && isGivenPassword(found.person))
    throw new RequestProblem('password_change_required');
  if (asked === 'signed-in') return found;
  if (found.role === null) throw new RequestProblem('not_found');
  if (!reaches(found.role, asked)) throw new RequestProblem('forbidden');
  return found;
}
