import { createServer, request as httpRequest, type IncomingHttpHeaders, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { MemoryIdempotencyStore, MemoryRateLimiter } from '../admission/memory.js';
import type { Overload } from '../admission/port.js';
import type { BusMessage } from '../bus/port.js';
import { decodeEvent, type AdmittedEvent } from '../contract/event.js';
import { parseDefinition } from '../games/definition-file.js';
import type { Game, KeyRing, SessionRevocation, SigningKey } from '../games/port.js';
import { createClientAddress } from '../ingest/client-address.js';
import { DEFAULT_INGEST_LIMITS } from '../ingest/limits.js';
import { createIngestListener } from '../ingest/listener.js';
import type { IngestDeps } from '../ingest/port.js';
import {
  createServerOptions,
  DEFAULT_SLOW_CLIENT_LIMITS,
  limitConnections,
  type SlowClientLimits,
} from '../ingest/server-options.js';
import type { Clock } from '../kernel/clock.js';
import { systemClock } from '../kernel/clock.js';
import { systemRandom } from '../kernel/random.js';
import { mintSessionKeyId, sessionSecret, type SessionScope } from '../signing/session.js';
import { sign } from '../signing/sign.js';
import { quietLogger, quietMetrics, quietRefusals } from './quiet.js';

/** 2026-11-20T12:00:00Z: when it is now in these tests. */
export const INGEST_NOW_MS = Date.UTC(2026, 10, 20, 12);
const DAY_MS = 86_400_000;

const DEFINITION = `
game: demo
unknownTypes: store
events:
  progression:
    from: any
    payload:
      required: [deltaXp, activity]
      properties:
        deltaXp: { type: integer, minimum: 0, maximum: 1000000 }
        activity: { type: string, minLength: 1, maxLength: 64 }
  gift:
    from: server
    payload:
      properties:
        amount: { type: number }
`;

const game = (gameId: string): Game => ({
  gameId,
  dedupeFloor: '2026-01-01',
  acceptancePastMs: 30 * DAY_MS,
  acceptanceAheadMs: 300_000,
  sessionMasterId: 'm1',
  sessionMaster: Buffer.alloc(32, 7),
});

const key = (keyId: string, over: Partial<SigningKey> = {}): SigningKey => ({
  keyId,
  gameId: 'demo',
  secret: `secret of ${keyId}, long enough to be one`,
  scopes: new Set(['ingest']),
  schemes: new Set(['v1']),
  trust: 'server',
  debug: false,
  notBeforeMs: 0,
  notAfterMs: null,
  revokedAtMs: null,
  ...over,
});

const KEYS = [
  key('demo'),
  key('demo-2'),
  key('client', { trust: 'client' }),
  key('replayer', { scopes: new Set(['ingest', 'replay']) }),
  key('reader', { scopes: new Set(['read']) }),
  key('other', { gameId: 'other' }),
  key('debug', { debug: true }),
  key('plain', { schemes: new Set(['v1', 'plain-timestamp', 'plain-body']) }),
  key('future', { notBeforeMs: INGEST_NOW_MS + 1 }),
  key('expired', { notAfterMs: INGEST_NOW_MS }),
  key('revoked', { revokedAtMs: INGEST_NOW_MS - 1 }),
];

export interface SignedPost {
  readonly path?: string;
  readonly body: string | Buffer;
  readonly keyId?: string;
  readonly secret?: string;
  readonly timestamp?: string;
  readonly idempotencyKey?: string;
  readonly encoding?: 'gzip';
  /** Set or, with undefined, left out after signing. */
  readonly headers?: Readonly<Record<string, string | string[] | undefined>>;
}

export interface IngestReply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- tests look into answers freely
  readonly json: any;
}

export interface IngestServer {
  readonly port: number;
  readonly server: Server;
  /** Every message that the bus took, in order. */
  readonly published: BusMessage[];
  events(): AdmittedEvent[];
  /** Seen by the test, changed by the test. */
  readonly world: {
    nowMs: number;
    ringAgeMs: number;
    revocations: SessionRevocation[];
    overfullGames: Set<string>;
    overload: Overload | null;
    publishWaitMs: number;
    monotonicSkewMs: number;
  };
  /** Signs as a client does and posts; every field can be wrong on purpose. */
  post(post: SignedPost): Promise<IngestReply>;
  /** The bytes of a request as `post` would send them. */
  bytes(post: SignedPost): Buffer;
  /** Writes bytes to a socket of its own and gives all that came back until the end, or until `isDone`. */
  raw(bytes: Buffer | string, isDone?: (text: string) => boolean): Promise<string>;
  session(
    playerId: string,
    over?: { scopes?: SessionScope[]; iatMs?: number; seconds?: number; gameId?: string },
  ): {
    keyId: string;
    secret: string;
    sid: string;
  };
  close(): Promise<void>;
}

export interface IngestServerOptions {
  readonly deps?: Partial<IngestDeps>;
  readonly limits?: Partial<IngestDeps['limits']>;
  readonly slow?: Partial<SlowClientLimits>;
  readonly publish?: (messages: readonly BusMessage[]) => Promise<void>;
  readonly unknownTypes?: 'store' | 'refuse';
}

/** The real listener on a real http server, with a bus that records and a wall clock in the test's hand. */
export async function startIngestServer(options: IngestServerOptions = {}): Promise<IngestServer> {
  const world: IngestServer['world'] = {
    nowMs: INGEST_NOW_MS,
    ringAgeMs: 0,
    revocations: [],
    overfullGames: new Set(),
    overload: null,
    publishWaitMs: 0,
    monotonicSkewMs: 0,
  };
  const published: BusMessage[] = [];
  const clock: Clock = {
    now: () => world.nowMs,
    monotonicMs: () => performance.now() + world.monotonicSkewMs,
    sleep: systemClock.sleep,
  };
  const deps = { ...standardDeps(world, clock, options), ...options.deps };
  const bus: IngestDeps['bus'] = options.deps?.bus ?? {
    publish: async (messages) => {
      await options.publish?.(messages);
      published.push(...messages);
    },
  };
  const listener = createIngestListener({ ...deps, bus });
  const slow = { ...DEFAULT_SLOW_CLIENT_LIMITS, ...options.slow };
  const server = createServer(createServerOptions(slow), (request, response) => {
    if (!listener(request, response)) response.writeHead(404).end('not for the listener');
  });
  limitConnections(server, slow);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    server,
    published,
    world,
    events: () => published.map(({ body }) => decodeEvent(body)),
    post: (post) => send(port, post, world.nowMs),
    bytes: (post) => bytesOf(post, world.nowMs),
    raw: (bytes, isDone) => raw(port, bytes, isDone),
    session: (playerId, over = {}) => mint(playerId, over),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function standardDeps(
  world: IngestServer['world'],
  clock: Clock,
  { limits, unknownTypes = 'store' }: IngestServerOptions,
): Omit<IngestDeps, 'bus'> {
  const source = DEFINITION.replace('unknownTypes: store', `unknownTypes: ${unknownTypes}`);
  const definition = parseDefinition(source, { gameId: 'demo', version: 3 });
  const keyRing: KeyRing = {
    key: (keyId) => KEYS.find((one) => one.keyId === keyId) ?? null,
    game: (gameId) => (gameId === 'demo' ? GAMES.demo : gameId === 'other' ? GAMES.other : null),
    revocations: () => world.revocations,
    revocationsAreKnown: (gameId) => !world.overfullGames.has(gameId),
    ageMs: () => world.ringAgeMs,
  };
  return {
    keyRing,
    definitions: {
      inForce: () => Promise.resolve(definition),
      version: () => Promise.resolve(definition),
    },
    addressLimiter: new MemoryRateLimiter({ clock }),
    limiter: new MemoryRateLimiter({ clock }),
    loadGate: {
      get overload() {
        return world.overload;
      },
      publishWaitMs: () => world.publishWaitMs,
    },
    idempotency: new MemoryIdempotencyStore({ clock, random: systemRandom }),
    clock,
    random: systemRandom,
    refusals: quietRefusals,
    metrics: quietMetrics,
    logger: quietLogger,
    tracer: null,
    limits: { ...DEFAULT_INGEST_LIMITS, ...limits },
    clientAddress: createClientAddress({ kind: 'none' }),
    signedPathPrefix: '',
    corsOrigins: [],
  };
}

const GAMES = { demo: game('demo'), other: game('other') };

function mint(
  playerId: string,
  over: { scopes?: SessionScope[]; iatMs?: number; seconds?: number; gameId?: string },
): { keyId: string; secret: string; sid: string } {
  const iat = Math.floor((over.iatMs ?? INGEST_NOW_MS - 1000) / 1000);
  const sid = systemRandom.bytes(16);
  const { gameId = 'demo', scopes = ['ingest', 'read'] } = over;
  const times = { iat, exp: iat + (over.seconds ?? 3600) };
  const keyId = mintSessionKeyId({
    masterId: 'm1',
    gameId,
    playerId,
    scopes: new Set(scopes),
    ...times,
    sid,
  });
  return { keyId, secret: sessionSecret(GAMES.demo.sessionMaster, keyId), sid: sid.toString('base64url') };
}

function headersOf(post: SignedPost, nowMs: number): Record<string, string | string[]> {
  const { path = '/v1/events', body, keyId = 'demo', encoding, idempotencyKey } = post;
  const timestamp = post.timestamp ?? String(Math.floor(nowMs / 1000));
  const secret = post.secret ?? KEYS.find((one) => one.keyId === keyId)?.secret ?? 'unknown';
  const optional = {
    ...(encoding === undefined ? {} : { encoding }),
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
  };
  const { signature } = sign({ method: 'POST', target: path, keyId, timestamp, body, secret, ...optional });
  const headers: Record<string, string | string[] | undefined> = {
    'Content-Type': 'application/json',
    'X-Key-Id': keyId,
    'X-Timestamp': timestamp,
    'X-Signature': signature,
    'Idempotency-Key': idempotencyKey,
    'Content-Encoding': encoding,
    ...post.headers,
  };
  const kept = Object.entries(headers).filter((entry) => entry[1] !== undefined);
  return Object.fromEntries(kept) as Record<string, string | string[]>;
}

function send(port: number, post: SignedPost, nowMs: number): Promise<IngestReply> {
  return new Promise((resolve, reject) => {
    const headers = { ...headersOf(post, nowMs), 'Content-Length': String(Buffer.byteLength(post.body)) };
    const options = { port, host: '127.0.0.1', method: 'POST', path: post.path ?? '/v1/events', headers };
    const outgoing = httpRequest(options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        const isJson = (response.headers['content-type'] ?? '').includes('json');
        const json: unknown = isJson ? JSON.parse(text) : undefined;
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json });
      });
    });
    outgoing.on('error', reject);
    outgoing.end(post.body);
  });
}

function bytesOf(post: SignedPost, nowMs: number): Buffer {
  const lines = [`POST ${post.path ?? '/v1/events'} HTTP/1.1`, 'Host: localhost'];
  const length = String(Buffer.byteLength(post.body));
  const isTold = post.headers !== undefined && 'Content-Length' in post.headers;
  const headers = { ...(isTold ? {} : { 'Content-Length': length }), ...headersOf(post, nowMs) };
  for (const [name, value] of Object.entries(headers)) {
    for (const one of Array.isArray(value) ? value : [value]) lines.push(`${name}: ${one}`);
  }
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), Buffer.from(post.body)]);
}

function raw(port: number, bytes: Buffer | string, isDone?: (text: string) => boolean): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' }, () => socket.write(bytes));
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (isDone?.(text) === true) socket.destroy();
    });
    socket.on('error', () => undefined); // a reset is an end as well; `close` follows
    socket.on('close', () => resolve(text));
  });
}

let count = 0;

/** A progression event that is right in all its parts, unless overridden; undefined leaves a field out. */
export function ingestEvent(over: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  const event = {
    id: `evt-${String((count += 1))}`,
    type: 'progression',
    playerId: 'p-1',
    ts: INGEST_NOW_MS,
    payload: { deltaXp: 10, activity: 'quest' },
    ...over,
  };
  return event;
}
