import { createHash } from 'node:crypto';
import { errors, jwtVerify, type JWTPayload, type JWTVerifyGetKey } from 'jose';
import type { Clock } from '../../kernel/clock.js';
import type { Random } from '../../kernel/random.js';
import { RequestProblem } from '../../http/request-problem.js';
import type { Sealer } from '../../secrets/port.js';
import { fetchIssuer } from './issuer-fetch.js';
import { createIssuerKeys } from './issuer-keys.js';
import type { Identity } from './service.postgres.js';

export interface OidcSettings {
  /** As its discovery document names it. */
  readonly issuer: string;
  /** The `aud` of its tokens; our client id there too. */
  readonly audience: string;
  /** null: a public client, which PKCE alone protects. */
  readonly clientSecret: string | null;
  /** Where it sends browsers back to. */
  readonly redirectUri: string;
}

export interface OidcDeps {
  readonly settings: OidcSettings;
  readonly sealer: Sealer;
  readonly clock: Pick<Clock, 'now' | 'monotonicMs'>;
  readonly random: Pick<Random, 'bytes'>;
}

/** Signing in at an OpenID Connect issuer: authorization code with PKCE (RFC 7636) for pages, a token for programs. */
export interface Oidc {
  readonly issuer: string;
  /** `pending` is sealed, and the browser's to keep until it comes back. */
  start(returnTo: string): Promise<{ readonly authorizationUrl: string; readonly pending: string }>;
  /** @throws RequestProblem `sign_in_failed`, `issuer_unavailable` */
  finish(
    code: string,
    state: string,
    pending: string | null,
  ): Promise<{ readonly identity: Identity; readonly returnTo: string }>;
  /** @throws RequestProblem `sign_in_failed`, `issuer_unavailable` */
  identityOf(token: string): Promise<Identity>;
}

interface Discovery {
  readonly authorizationEndpoint: string;
  readonly tokenEndpoint: string;
  readonly jwksUri: string;
}

interface Pending {
  readonly state: string;
  readonly nonce: string;
  readonly verifier: string;
  readonly returnTo: string;
  readonly untilMs: number;
}

/** Asymmetric alone: with HMAC a public key would do as a secret (RFC 8725 section 2.1). */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'];
/** What an issuer may call its tokens; others, as `logout+jwt`, are for something else. */
const TYPES: readonly (string | undefined)[] = [undefined, 'jwt', 'at+jwt', 'application/at+jwt'];
/** Shorter than what the keys wait, so that they never wait for both. */
const COOLDOWN_MS = 20_000;
const PENDING_MS = 10 * 60_000;
const TOLERANCE_SECONDS = 30;
const PLACE = { table: 'oidc', gameId: '', keyId: 'pending' };

export function createOidc(deps: OidcDeps): Oidc {
  const { settings, sealer, clock, random } = deps;
  const { issuer, audience, clientSecret, redirectUri } = settings;
  const discovery = createDiscovery(issuer, clock);
  const verify = createVerifier(deps, discovery);
  const text = (): string => random.bytes(32).toString('base64url');

  return {
    issuer,
    async start(returnTo) {
      const { authorizationEndpoint } = await discovery();
      const pending: Pending = {
        state: text(),
        nonce: text(),
        verifier: text(),
        returnTo,
        untilMs: clock.now() + PENDING_MS,
      };
      const url = new URL(authorizationEndpoint);
      const asked = {
        response_type: 'code',
        client_id: audience,
        redirect_uri: redirectUri,
        scope: 'openid profile email',
        state: pending.state,
        nonce: pending.nonce,
        code_challenge: createHash('sha256').update(pending.verifier).digest('base64url'),
        code_challenge_method: 'S256',
      };
      for (const [name, value] of Object.entries(asked)) url.searchParams.set(name, value);
      return {
        authorizationUrl: url.href,
        pending: sealer.seal(Buffer.from(JSON.stringify(pending)), PLACE),
      };
    },
    async finish(code, state, sealed) {
      const pending = openPending(sealed, sealer);
      if (pending?.state !== state || pending.untilMs < clock.now())
        throw new RequestProblem('sign_in_failed');
      const { tokenEndpoint } = await discovery();
      const idToken = await exchange(tokenEndpoint, {
        grant_type: 'authorization_code',
        code,
        redirect_uri: redirectUri,
        client_id: audience,
        code_verifier: pending.verifier,
        ...(clientSecret === null ? {} : { client_secret: clientSecret }),
      });
      const claims = await verify(idToken);
      if (claims['nonce'] !== pending.nonce) throw new RequestProblem('sign_in_failed');
      return { identity: identityIn(claims, issuer), returnTo: pending.returnTo };
    },
    identityOf: async (token) => identityIn(await verify(token), issuer),
  };
}

/** The issuer's document, asked for once; while it cannot be had, now and then. */
function createDiscovery(issuer: string, clock: Pick<Clock, 'monotonicMs'>): () => Promise<Discovery> {
  let failedAtMs = -Infinity;
  let discovered: Promise<Discovery> | null = null;
  return () => {
    if (clock.monotonicMs() - failedAtMs < COOLDOWN_MS)
      return Promise.reject(new RequestProblem('issuer_unavailable'));
    discovered ??= discover(issuer).catch((error: unknown) => {
      discovered = null;
      failedAtMs = clock.monotonicMs();
      throw error;
    });
    return discovered;
  };
}

/** OpenID Connect Discovery 1.0 section 4. */
async function discover(issuer: string): Promise<Discovery> {
  const response = await fetchIssuer(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`);
  const document = (await response.json()) as Readonly<Record<string, unknown>>;
  const text = (name: string): string => {
    const value = document[name];
    if (typeof value === 'string' && URL.canParse(value)) return value;
    throw new RequestProblem('issuer_unavailable');
  };
  // Another issuer's document: its tokens would be believed to be of ours.
  if (document['issuer'] !== issuer) throw new RequestProblem('issuer_unavailable');
  return {
    authorizationEndpoint: text('authorization_endpoint'),
    tokenEndpoint: text('token_endpoint'),
    jwksUri: text('jwks_uri'),
  };
}

function createVerifier(
  { settings: { issuer, audience }, clock }: OidcDeps,
  discovery: () => Promise<Discovery>,
): (token: string) => Promise<JWTPayload> {
  const fetchKeys = async (): Promise<unknown> => (await fetchIssuer((await discovery()).jwksUri)).json();
  const keys: JWTVerifyGetKey = createIssuerKeys(fetchKeys, clock);
  return async (token) => {
    try {
      const { payload, protectedHeader } = await jwtVerify(token, keys, {
        algorithms: ALGORITHMS,
        issuer,
        audience,
        clockTolerance: TOLERANCE_SECONDS,
        requiredClaims: ['sub', 'exp', 'iat'],
        currentDate: new Date(clock.now()),
      });
      if (!TYPES.includes(protectedHeader.typ?.toLowerCase())) throw new RequestProblem('sign_in_failed');
      return payload;
    } catch (error) {
      if (error instanceof errors.JOSEError) throw new RequestProblem('sign_in_failed');
      throw error;
    }
  };
}

async function exchange(endpoint: string, form: Readonly<Record<string, string>>): Promise<string> {
  const response = await fetchIssuer(endpoint, new URLSearchParams(form));
  const { id_token: idToken } = (await response.json()) as { readonly id_token?: unknown };
  if (typeof idToken !== 'string') throw new RequestProblem('sign_in_failed');
  return idToken;
}

function openPending(sealed: string | null, sealer: Sealer): Pending | null {
  if (sealed === null) return null;
  try {
    return JSON.parse(sealer.open(sealed, PLACE).toString('utf8')) as Pending;
  } catch {
    return null; // not of ours, or of a master key that is gone: one begins again
  }
}

const NAME_MAX_LENGTH = 128;

function identityIn(claims: JWTPayload, issuer: string): Identity {
  const { sub, preferred_username: preferred, email } = claims;
  if (sub === undefined || sub === '' || sub.length > 256) throw new RequestProblem('sign_in_failed');
  const name = [preferred, email].find(
    (one): one is string => typeof one === 'string' && one !== '' && one.length <= NAME_MAX_LENGTH,
  );
  return { issuer, subject: sub, name: name ?? null };
}
