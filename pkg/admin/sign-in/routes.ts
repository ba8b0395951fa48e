import type { components } from '../../contract/admin-api.gen.js';
import { RequestProblem } from '../../http/request-problem.js';
import type { AnyoneRoutes, Call, SignedInRoutes } from '../api/routes.js';
import type { Person } from '../port.js';
import type { Cookies } from './cookies.js';
import type { Devices } from './devices.js';
import type { TakeSignIn } from './limits.js';
import type { Oidc } from './oidc.js';
import { REFRESH_TOKEN } from './refresh-tokens.js';
import type { SignedIn, SignIn } from './service.postgres.js';
import type { Place } from './sessions.postgres.js';
import type { GameOf } from './users.postgres.js';

export interface SignInRouteDeps {
  readonly signIn: SignIn;
  /** null: local users alone. */
  readonly oidc: Oidc | null;
  readonly cookies: Cookies;
  readonly devices: Devices;
  readonly takeSignIn: TakeSignIn;
  /** What an address is counted under. */
  readonly addressKey: (address: string) => string;
}

type Me = components['schemas']['Me'];
type SignedInAnswer = components['schemas']['SignedIn'];
type AnyCall = Pick<Call<never>, 'request' | 'address' | 'requestId'>;

const CLIENT_MAX_LENGTH = 256;
const PENDING_SECONDS = 600;
/** How long a browser is known after the last time that somebody signed in there with a password. */
const DEVICE_SECONDS = 90 * 24 * 3_600;
const instant = (ms: number): string => new Date(ms).toISOString();

/** Signing in, by everybody. */
export function openSignInRoutes(
  deps: SignInRouteDeps,
): Pick<AnyoneRoutes, 'getSignInOptions' | 'login' | 'startOidc' | 'exchangeOidc' | 'refreshSession'> {
  const { signIn, oidc, cookies, devices, takeSignIn, addressKey } = deps;
  const issuer = (): Oidc => {
    if (oidc === null) throw new RequestProblem('not_found');
    return oidc;
  };
  return {
    getSignInOptions: async () => ({
      status: 200,
      body: {
        local: true,
        oidc: oidc === null ? null : { issuer: oidc.issuer, label: new URL(oidc.issuer).host },
      },
    }),
    login: async (call) => {
      const { username, password } = call.body;
      const known = cookies.read(call.request, 'device');
      const deviceId = devices.idOf(known, username);
      await takeSignIn({ username, addressKey: addressKey(call.address), deviceId });
      const signedIn = await signIn.withPassword(username, password, placeOf(call), call.requestId);
      const value = deviceId !== null && known !== null ? known : devices.make(username);
      const device = cookies.write(call.request, { name: 'device', value, maxAgeSeconds: DEVICE_SECONDS });
      return answer(signedIn, call, deps, null, [device]);
    },
    startOidc: async (call) => {
      await takeSignIn({ addressKey: addressKey(call.address) });
      const { authorizationUrl, pending } = await issuer().start(call.body.returnTo);
      const cookie = { name: 'oidc', value: pending, maxAgeSeconds: PENDING_SECONDS } as const;
      return {
        status: 200,
        body: { authorizationUrl },
        headers: { 'Set-Cookie': cookies.write(call.request, cookie) },
      };
    },
    exchangeOidc: async (call) => {
      await takeSignIn({ addressKey: addressKey(call.address) });
      const { body } = call;
      if ('token' in body) {
        const identity = await issuer().identityOf(body.token);
        return answer(await signIn.withIdentity(identity, placeOf(call), call.requestId), call, deps, null);
      }
      const pending = cookies.read(call.request, 'oidc');
      const { identity, returnTo } = await issuer().finish(body.code, body.state, pending);
      const signedIn = await signIn.withIdentity(identity, placeOf(call), call.requestId);
      return answer(signedIn, call, deps, returnTo);
    },
    refreshSession: async (call) => {
      const token = cookies.read(call.request, 'refresh');
      if (token === null || !REFRESH_TOKEN.test(token)) throw new RequestProblem('not_signed_in');
      return answer(await signIn.refresh(token, placeOf(call), call.requestId), call, deps, null);
    },
  };
}

/** What those do who are signed in. */
export function ownSessionRoutes({
  signIn,
  cookies,
  devices,
  takeSignIn,
  addressKey,
}: SignInRouteDeps): Pick<
  SignedInRoutes,
  'logout' | 'getMe' | 'changePassword' | 'listSessions' | 'revokeAllSessions' | 'revokeSession'
> {
  const noCookie = { name: 'refresh', value: '', maxAgeSeconds: 0 } as const;
  return {
    logout: async ({ person, request, requestId }) => {
      await signIn.end(person, person.sessionId, requestId);
      return { status: 204, headers: { 'Set-Cookie': cookies.write(request, noCookie) } };
    },
    getMe: async ({ person }) => ({
      status: 200,
      body: meOf(person, await signIn.gamesOf(person.userId)),
    }),
    changePassword: async ({ person, body, address, request, requestId }) => {
      const { username } = person;
      const deviceId = devices.idOf(cookies.read(request, 'device'), username);
      await takeSignIn({ username, addressKey: addressKey(address), deviceId });
      await signIn.changePassword(person, body.oldPassword, body.newPassword, requestId);
      return { status: 204 };
    },
    listSessions: async ({ person }) => {
      const sessions = await signIn.sessions(person);
      const items = sessions.map(({ createdAtMs, lastUsedAtMs, expiresAtMs, ...rest }) => ({
        ...rest,
        isCurrent: rest.sessionId === person.sessionId,
        createdAt: instant(createdAtMs),
        lastUsedAt: instant(lastUsedAtMs),
        expiresAt: instant(expiresAtMs),
      }));
      return { status: 200, body: { items } };
    },
    revokeAllSessions: async ({ person, request, requestId }) => {
      const revoked = await signIn.end(person, null, requestId);
      return { status: 200, body: { revoked }, headers: { 'Set-Cookie': cookies.write(request, noCookie) } };
    },
    revokeSession: async ({ person, path, requestId }) => {
      await signIn.end(person, path.sessionId, requestId);
      return { status: 204 };
    },
  };
}

/** Printable ASCII: what stands in lists and logs is one line. */
const placeOf = ({ request, address }: AnyCall): Place => ({
  address,
  client: (request.headers['user-agent'] ?? '').replaceAll(/[^\x20-\x7e]/g, '?').slice(0, CLIENT_MAX_LENGTH),
});

const meOf = (
  person: Pick<
    Person,
    'userId' | 'username' | 'isLocal' | 'mustChangePassword' | 'isAdminOfAll' | 'sessionId'
  >,
  games: readonly GameOf[],
): Me => ({
  userId: person.userId,
  username: person.username,
  source: person.isLocal ? 'local' : 'oidc',
  sessionId: person.sessionId,
  mustChangePassword: person.mustChangePassword,
  isAdminOfAll: person.isAdminOfAll,
  memberships: [...games],
});

/** The refresh token is a cookie that no script reads; the access token is the page's, in memory. */
function answer(
  { accessToken, accessTokenExpiresAtMs, session, user, games }: SignedIn,
  { request }: AnyCall,
  { cookies }: SignInRouteDeps,
  returnTo: string | null,
  moreCookies: readonly string[] = [],
): { status: 200; body: SignedInAnswer; headers: Record<string, string[]> } {
  const cookie = {
    name: 'refresh',
    value: session.refreshToken,
    maxAgeSeconds: session.refreshSeconds,
  } as const;
  return {
    status: 200,
    body: {
      accessToken,
      accessTokenExpiresAt: instant(accessTokenExpiresAtMs),
      me: meOf({ ...user, sessionId: session.sessionId }, games),
      returnTo,
    },
    headers: { 'Set-Cookie': [cookies.write(request, cookie), ...moreCookies] },
  };
}
