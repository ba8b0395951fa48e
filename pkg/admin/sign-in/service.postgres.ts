import type { Clock } from '../../kernel/clock.js';
import type { Random } from '../../kernel/random.js';
import { RequestProblem } from '../../http/request-problem.js';
import { INSTALLATION, type Actor, type GameDatabase, type Person } from '../port.js';
import type { AccessTokens } from './access-tokens.js';
import type { Passwords } from './passwords.js';
import {
  endSessions,
  listSessions,
  openSession,
  refreshSession,
  type OpenedSession,
  type Place,
  type SessionDescription,
} from './sessions.postgres.js';
import {
  gamesOf,
  insertUser,
  isFull,
  normalName,
  PRINTABLE_NAME,
  randomId,
  setPassword,
  userById,
  userByName,
  userBySubject,
  type GameOf,
  type User,
} from './users.postgres.js';

/** Somebody who has just signed in or refreshed. */
export interface SignedIn {
  readonly accessToken: string;
  readonly accessTokenExpiresAtMs: number;
  readonly session: OpenedSession;
  readonly user: User;
  readonly games: readonly GameOf[];
}

export interface SignInDeps {
  readonly games: GameDatabase;
  readonly tokens: AccessTokens;
  readonly passwords: Passwords;
  readonly refreshSecret: Buffer;
  readonly clock: Pick<Clock, 'now'>;
  readonly random: Pick<Random, 'bytes'>;
}

/** Who an issuer says somebody is. */
export interface Identity {
  readonly issuer: string;
  readonly subject: string;
  /** What to call them, if their subject was never seen before. */
  readonly name: string | null;
}

/** Signing in, staying in and leaving. All throw RequestProblem. */
export interface SignIn {
  withPassword(username: string, password: string, place: Place, requestId: string): Promise<SignedIn>;
  withIdentity(identity: Identity, place: Place, requestId: string): Promise<SignedIn>;
  refresh(token: string, place: Place, requestId: string): Promise<SignedIn>;
  changePassword(person: Person, oldPassword: string, newPassword: string, requestId: string): Promise<void>;
  /** Ends one session or, without `only`, all of them. Answers how many. */
  end(person: Person, only: string | null, requestId: string): Promise<number>;
  sessions(person: Person): Promise<readonly SessionDescription[]>;
  gamesOf(userId: string): Promise<readonly GameOf[]>;
}

export function createSignIn(deps: SignInDeps): SignIn {
  const { games, passwords, clock } = deps;
  return {
    withPassword: (username, password, place, requestId) =>
      signInWithPassword({ username, password, place, requestId }, deps),
    withIdentity: (identity, place, requestId) => signInWithIdentity({ identity, place, requestId }, deps),
    refresh: (token, place, requestId) => refresh({ token, place, requestId }, deps),
    async changePassword(person, oldPassword, newPassword, requestId) {
      const user = await games.read(INSTALLATION, (sql) => userById(sql, person.userId));
      const isRight = await passwords.isRight(oldPassword, user?.passwordHash ?? null);
      if (!isRight) throw new RequestProblem('invalid_field', { pointer: '/oldPassword' });
      if (newPassword === oldPassword) throw new RequestProblem('invalid_field', { pointer: '/newPassword' });
      const passwordHash = await passwords.hash(newPassword);
      await games.change(INSTALLATION, actorOf(person, requestId), async ({ sql, audit }) => {
        await setPassword(sql, person.userId, passwordHash, false);
        const which = { userId: person.userId, allBut: person.sessionId };
        const ended = await endSessions(sql, which, 'password_changed', clock);
        audit({ action: 'user.change_password', subject: `user ${person.username}`, details: { ended } });
      });
    },
    end: (person, only, requestId) =>
      games.change(INSTALLATION, actorOf(person, requestId), async ({ sql, audit }) => {
        const which = { userId: person.userId, ...(only === null ? {} : { only }) };
        const ended = await endSessions(
          sql,
          which,
          only === person.sessionId ? 'signed_out' : 'revoked',
          clock,
        );
        if (only !== null && ended === 0) throw new RequestProblem('not_found');
        audit({ action: 'session.end', subject: `user ${person.username}`, details: { ended } });
        return ended;
      }),
    sessions: (person) => games.read(INSTALLATION, (sql) => listSessions(sql, person.userId, clock.now())),
    gamesOf: (userId) => games.read(INSTALLATION, (sql) => gamesOf(sql, userId)),
  };
}

const actorOf = ({ userId, username }: Pick<Person, 'userId' | 'username'>, requestId: string): Actor => ({
  userId,
  name: username,
  requestId,
});

interface PasswordRequest {
  readonly username: string;
  readonly password: string;
  readonly place: Place;
  readonly requestId: string;
}

async function signInWithPassword(
  { username, password, place, requestId }: PasswordRequest,
  deps: SignInDeps,
): Promise<SignedIn> {
  const { games, passwords } = deps;
  const user = await games.read(INSTALLATION, (sql) => userByName(sql, username));
  const isRight = await passwords.isRight(password, user?.passwordHash ?? null);
  if (user === null) throw new RequestProblem('sign_in_failed');
  if (isRight && !user.isDisabled) return begin(user, place, requestId, deps);
  await games.change(INSTALLATION, { userId: null, name: user.username, requestId }, async ({ audit }) => {
    audit({
      action: 'session.sign_in_failed',
      subject: `user ${user.username}`,
      details: { address: place.address },
    });
  });
  throw new RequestProblem('sign_in_failed');
}

interface IdentityRequest {
  readonly identity: Identity;
  readonly place: Place;
  readonly requestId: string;
}

/** Somebody new becomes a user who may do nothing yet; an admin of a game finds the name and gives a role. */
async function signInWithIdentity(
  { identity, place, requestId }: IdentityRequest,
  deps: SignInDeps,
): Promise<SignedIn> {
  const { games, random } = deps;
  const { issuer, subject } = identity;
  const known = await games.read(INSTALLATION, (sql) => userBySubject(sql, issuer, subject));
  if (known?.isDisabled === true) throw new RequestProblem('sign_in_failed');
  if (known !== null) return begin(known, place, requestId, deps);
  const userId = randomId(random);
  const said = normalName(identity.name ?? '');
  const name = PRINTABLE_NAME.test(said) ? said : '';
  await games.change(INSTALLATION, { userId, name: subject, requestId }, async ({ sql, audit }) => {
    if (await isFull(sql)) throw new RequestProblem('forbidden');
    const user = { userId, passwordHash: null, oidc: { issuer, subject }, isAdminOfAll: false };
    // A name that is somebody's already says nothing about who this is: the subject does.
    const username =
      name !== '' && (await insertUser(sql, { ...user, username: name }))
        ? name
        : await insertBySubject(sql, { ...user, username: `${subject}@${new URL(issuer).host}` });
    audit({ action: 'user.first_sign_in', subject: `user ${username}`, details: { issuer, subject } });
  });
  const user = await games.read(INSTALLATION, (sql) => userBySubject(sql, issuer, subject));
  if (user === null) throw new RequestProblem('sign_in_failed');
  return begin(user, place, requestId, deps);
}

async function insertBySubject(
  sql: Parameters<typeof insertUser>[0],
  user: Parameters<typeof insertUser>[1],
): Promise<string> {
  await insertUser(sql, user);
  return user.username;
}

async function begin(user: User, place: Place, requestId: string, deps: SignInDeps): Promise<SignedIn> {
  const { games, clock, random, refreshSecret } = deps;
  const actor = { userId: user.userId, name: user.username, requestId };
  const session = await games.change(INSTALLATION, actor, async ({ sql, audit }) => {
    const opened = await openSession(sql, user.userId, place, { clock, random, refreshSecret });
    audit({
      action: 'session.sign_in',
      subject: `user ${user.username}`,
      details: { address: place.address },
    });
    return opened;
  });
  return answerOf(user, session, deps);
}

async function answerOf(user: User, session: OpenedSession, deps: SignInDeps): Promise<SignedIn> {
  const { token, expiresAtMs } = await deps.tokens.sign({
    userId: user.userId,
    sessionId: session.sessionId,
  });
  const games = await deps.games.read(INSTALLATION, (sql) => gamesOf(sql, user.userId));
  return { accessToken: token, accessTokenExpiresAtMs: expiresAtMs, session, user, games };
}

interface RefreshRequest {
  readonly token: string;
  readonly place: Place;
  readonly requestId: string;
}

async function refresh({ token, place, requestId }: RefreshRequest, deps: SignInDeps): Promise<SignedIn> {
  const { games } = deps;
  const nobody = { userId: null, name: '', requestId };
  // What ends a session and what tells of it are one transaction, which commits although the request is refused.
  const result = await games.upkeep(INSTALLATION, nobody, async ({ sql, audit }) => {
    const refreshed = await refreshSession(sql, token, place, deps);
    if (refreshed.kind === 'reused')
      audit({
        action: 'session.refresh_reused',
        subject: `user ${refreshed.username}`,
        details: { address: place.address },
      });
    return refreshed;
  });
  if (result.kind === 'unknown') throw new RequestProblem('not_signed_in');
  if (result.kind === 'reused') throw new RequestProblem('refresh_reused');
  const user = await games.read(INSTALLATION, (sql) => userById(sql, result.userId));
  if (user === null) throw new RequestProblem('not_signed_in');
  return answerOf(user, result.session, deps);
}
