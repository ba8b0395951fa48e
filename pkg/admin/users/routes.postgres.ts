import { RequestProblem } from '../../http/request-problem.js';
import type { Clock } from '../../kernel/clock.js';
import type { Random } from '../../kernel/random.js';
import type { Sql } from '../../postgres/port.js';
import type { GameCall, GameRoutes } from '../api/routes.js';
import type { Person } from '../port.js';
import { firstPassword, type Passwords } from '../sign-in/passwords.js';
import { endSessions } from '../sign-in/sessions.postgres.js';
import {
  gamesOf,
  insertUser,
  isFull,
  LOCAL_NAME,
  normalName,
  randomId,
  setPassword,
  userById,
  userByName,
} from '../sign-in/users.postgres.js';
import {
  changeMember,
  insertMember,
  isAdminLeft,
  listMembers,
  memberById,
  membershipsOf,
} from './members.postgres.js';

export interface UserRouteDeps {
  readonly passwords: Passwords;
  readonly clock: Pick<Clock, 'now'>;
  readonly random: Pick<Random, 'bytes'>;
  /** Of new users that sign in elsewhere; null: there is no such place. */
  readonly issuer: string | null;
}

type UserOperations = 'listUsers' | 'addUser' | 'setUserRole' | 'removeUser' | 'resetUserPassword';

/** Who may do what in a game. */
export const userRoutes = (deps: UserRouteDeps): Pick<GameRoutes, UserOperations> => ({
  listUsers: async ({ gameId, query, read }) => {
    const page = { limit: query.limit ?? PAGE_DEFAULT, cursor: query.cursor ?? null };
    const { items, nextCursor } = await read((sql) => listMembers(sql, gameId, page));
    return { status: 200, body: { items: [...items], nextCursor } };
  },
  addUser: (call) => addUser(call, deps),
  setUserRole: async ({ gameId, path: { userId }, body: { role }, change }) => {
    const body = await change(async ({ sql, audit }) => {
      if (role !== 'admin' && !(await isAdminLeft(sql, gameId, userId)))
        throw new RequestProblem('last_admin');
      const before = await changeMember(sql, gameId, userId, role);
      const member = await memberById(sql, gameId, userId);
      if (before === null || member === null) throw new RequestProblem('not_found');
      audit({ action: 'user.set_role', subject: `user ${member.username}`, details: { before, role } });
      return member;
    });
    return { status: 200, body };
  },
  removeUser: async ({ gameId, path: { userId }, change }) => {
    await change(async ({ sql, audit }) => {
      if (!(await isAdminLeft(sql, gameId, userId))) throw new RequestProblem('last_admin');
      const user = await userById(sql, userId);
      const before = await changeMember(sql, gameId, userId, null);
      if (before === null || user === null) throw new RequestProblem('not_found');
      audit({ action: 'user.remove', subject: `user ${user.username}`, details: { before } });
    });
    return { status: 204 };
  },
  resetUserPassword: async ({ gameId, path: { userId }, person, change }) => {
    const password = firstPassword(deps.random);
    const passwordHash = await deps.passwords.hash(password);
    await change(async ({ sql, audit }) => {
      const member = await memberById(sql, gameId, userId);
      if (member === null) throw new RequestProblem('not_found');
      if (!(await mayReset(sql, person, userId))) throw new RequestProblem('user_elsewhere');
      await setPassword(sql, userId, passwordHash, true);
      const ended = await endSessions(sql, { userId }, 'password_changed', deps.clock);
      audit({ action: 'user.reset_password', subject: `user ${member.username}`, details: { ended } });
    });
    return { status: 200, body: { firstPassword: password }, headers: { 'Cache-Control': 'no-store' } };
  },
});

const PAGE_DEFAULT = 50;

/** A new name becomes a user, whose first password is shown this once. */
async function addUser(
  { gameId, body, change }: GameCall<'addUser'>,
  { passwords, random, issuer }: UserRouteDeps,
): ReturnType<GameRoutes['addUser']> {
  const { username, role, subject } = body;
  if (subject !== undefined && issuer === null)
    throw new RequestProblem('invalid_field', { pointer: '/subject' });
  const oidc = subject === undefined || issuer === null ? null : { issuer, subject };
  const password = firstPassword(random);
  const passwordHash = oidc === null ? await passwords.hash(password) : null;
  const added = await change(async ({ sql, audit }) => {
    const known = await userByName(sql, username);
    // A subject says who signs in: the role must not go to whoever has the name already.
    if (known !== null && subject !== undefined)
      throw new RequestProblem('member_exists', { pointer: '/username' });
    if (known === null && oidc === null && !LOCAL_NAME.test(normalName(username)))
      throw new RequestProblem('invalid_field', { pointer: '/username' });
    const userId = known?.userId ?? randomId(random);
    const user = { userId, username, passwordHash, oidc, isAdminOfAll: false };
    if (known === null && ((await isFull(sql)) || !(await insertUser(sql, user))))
      throw new RequestProblem('member_exists', { pointer: '/subject' });
    if (!(await insertMember(sql, gameId, userId, role))) throw new RequestProblem('member_exists');
    const member = await memberById(sql, gameId, userId);
    if (member === null) throw new RequestProblem('not_found');
    audit({
      action: 'user.add',
      subject: `user ${member.username}`,
      details: { role, isNew: known === null },
    });
    return { member, firstPassword: known === null && oidc === null ? password : null };
  });
  return { status: 201, body: added, headers: { 'Cache-Control': 'no-store' } };
}

/**
 * Whoever gives a password can sign in with it: so only those may who are admins in every game in which the user has a role,
 * and only for users who have a password here.
 */
async function mayReset(sql: Sql, person: Person, userId: string): Promise<boolean> {
  const user = await userById(sql, userId);
  if (user?.isLocal !== true) return false;
  if (person.isAdminOfAll) return true;
  if (user.isAdminOfAll) return false;
  const own = new Map((await gamesOf(sql, person.userId)).map(({ gameId, role }) => [gameId, role]));
  return (await membershipsOf(sql, userId)).every(({ gameId }) => own.get(gameId) === 'admin');
}
