import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdminApp } from '../admin/api/app.js';
import { readApiDocument, type ApiDocument } from '../admin/api/document.js';
import type { AdminRoutes } from '../admin/api/routes.js';
import { createGameDatabase } from '../admin/game-database.postgres.js';
import type { GameDatabase, GameRole } from '../admin/port.js';
import { createAccess } from '../admin/sign-in/access.js';
import { createAccessTokens, type AccessTokens } from '../admin/sign-in/access-tokens.js';
import { openSession } from '../admin/sign-in/sessions.postgres.js';
import { openTokenKeys, type TokenKeyStore } from '../admin/sign-in/token-keys.postgres.js';
import { insertUser, randomId, sessionAccess } from '../admin/sign-in/users.postgres.js';
import { createGameStore } from '../games/tenants/postgres.js';
import type { Clock } from '../kernel/clock.js';
import { systemClock } from '../kernel/clock.js';
import { systemRandom } from '../kernel/random.js';
import { createDatabase } from '../postgres/database.js';
import type { Database } from '../postgres/port.js';
import type { Sealer } from '../secrets/port.js';
import { createSealer, parseMasterKeys } from '../secrets/seal.js';
import { testDatabase, type TestDatabase } from './postgres.js';
import { quietLogger } from './quiet.js';

/** What routes are made of in a test: the same as in cmd/admin. */
export interface AdminTestParts {
  /** Acts as fairtally_api. */
  readonly apiDb: Database;
  /** Acts as the superuser of the test server: to put things there and to look at what became of them. */
  readonly db: Database;
  readonly games: GameDatabase;
  readonly sealer: Sealer;
  readonly clock: Clock;
  readonly tokens: AccessTokens;
  readonly tokenKeys: TokenKeyStore;
}

export interface AdminServerOptions {
  /** Some of the operations; the others are left out of the document. */
  readonly routes: (parts: AdminTestParts) => Partial<AdminRoutes>;
  readonly clock?: Clock;
  readonly origin?: string | null;
}

/** Somebody's requests: `path` as the document has it, a body of any JSON, or its bytes. */
export type Ask = (
  method: string,
  path: string,
  body?: unknown,
  headers?: Record<string, string>,
) => Promise<Answered>;

export interface Answered {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The JSON of the answer; null where it is none. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly body: any;
}

export interface AdminServer extends AdminTestParts {
  readonly url: string;
  readonly database: TestDatabase;
  /** Makes a game that has nothing yet. */
  addGame(gameId: string): Promise<void>;
  /** Makes a user with these roles and signs them in. */
  signIn(
    username: string,
    roles: Readonly<Record<string, GameRole>>,
    isAdminOfAll?: boolean,
  ): Promise<SignedInTester>;
  /** Nobody's requests. */
  readonly ask: Ask;
  close(): Promise<void>;
}

export interface SignedInTester {
  readonly ask: Ask;
  readonly userId: string;
  readonly sessionId: string;
  readonly refreshToken: string;
  readonly accessToken: string;
}

/** The document, or the part of it that has routes. */
const documentOf = ({ game = {}, signedIn = {}, anyone = {} }: Partial<AdminRoutes>): ApiDocument => {
  const whole = adminDocument();
  const names = new Set([...Object.keys(game), ...Object.keys(signedIn), ...Object.keys(anyone)]);
  return { ...whole, operations: whole.operations.filter(({ id }) => names.has(id)) };
};

export const adminDocument = (): ApiDocument =>
  readApiDocument(readFileSync(new URL('../../api/admin.yaml', import.meta.url), 'utf8'));

/** The admin API with some of its routes, on a database of its own and a free port. */
export async function startAdminServer(options: AdminServerOptions): Promise<AdminServer> {
  const { clock = systemClock, origin = null } = options;
  const database = await testDatabase();
  const apiDb = createDatabase({ url: database.url, poolSize: 5, role: 'fairtally_api' });
  const sealer = createSealer(parseMasterKeys(`m1:${Buffer.alloc(32, 7).toString('base64')}`), systemRandom);
  const games = createGameDatabase(apiDb, clock);
  const tokenKeys = await openTokenKeys({
    games,
    sealer,
    random: systemRandom,
    clock,
    onUnreadable: () => undefined,
  });
  const tokens = createAccessTokens(tokenKeys, clock);
  const parts: AdminTestParts = { apiDb, db: database.db, games, sealer, clock, tokens, tokenKeys };
  const routes = options.routes(parts);
  const app = createAdminApp({
    document: documentOf(routes),
    routes: { game: {}, signedIn: {}, anyone: {}, ...routes },
    games,
    access: createAccess(tokens, (sessionId, gameId) => sessionAccess(apiDb, sessionId, gameId)),
    takeAddressBudget: async () => ({ allowed: true, headers: {} }),
    clientAddress: (request) => request.socket.remoteAddress ?? '',
    origin,
    mounts: [],
    logger: quietLogger,
    clock,
    random: systemRandom,
  });
  const server = createServer(app);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  return {
    ...parts,
    url,
    database,
    ask: askAs(url, null),
    addGame: async (gameId) => {
      const store = createGameStore(database.db, sealer, systemRandom);
      await store.create({ gameId, dedupeFloor: '2026-01-01' });
    },
    signIn: (username, roles, isAdminOfAll = false) => signIn(url, parts, { username, roles, isAdminOfAll }),
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await apiDb.close();
      await database.close();
    },
  };
}

interface Tester {
  readonly username: string;
  readonly roles: Readonly<Record<string, GameRole>>;
  readonly isAdminOfAll: boolean;
}

async function signIn(
  url: string,
  { db, tokens, tokenKeys, clock }: AdminTestParts,
  { username, roles, isAdminOfAll }: Tester,
): Promise<SignedInTester> {
  const userId = randomId(systemRandom);
  await insertUser(db, { userId, username, passwordHash: null, oidc: null, isAdminOfAll });
  for (const [gameId, role] of Object.entries(roles))
    await db.query('INSERT INTO admin_memberships (game_id, user_id, role) VALUES ($1, $2, $3)', [
      gameId,
      userId,
      role,
    ]);
  const { sessionId, refreshToken } = await openSession(
    db,
    userId,
    { address: '127.0.0.1', client: 'a test' },
    { clock, random: systemRandom, refreshSecret: tokenKeys.refreshSecret },
  );
  const { token } = await tokens.sign({ userId, sessionId });
  return { ask: askAs(url, token), userId, sessionId, refreshToken, accessToken: token };
}

/** Requests as a program sends them, with an access token or without. */
export const askAs =
  (url: string, token: string | null): Ask =>
  async (method, path, body, headers = {}) => {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: {
        ...(method === 'GET' ? {} : { 'X-Fairtally-Request': '1' }),
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
        ...(token === null ? {} : { Authorization: `Bearer ${token}` }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: isRaw(body) ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, body: jsonOf(text) };
  };

const isRaw = (body: unknown): body is string | Buffer => typeof body === 'string' || Buffer.isBuffer(body);

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
