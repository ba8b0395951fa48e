import { createHmac, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { MemoryIdempotencyStore, MemoryRateLimiter } from '../pkg/admission/memory.js';
import { DEFAULT_BACKOFF, DEFAULT_MAX_ATTEMPTS } from '../pkg/bus/deliver.js';
import { createMemoryBus } from '../pkg/bus/memory.js';
import { parseDefinition } from '../pkg/games/definition-file.js';
import type { Game, SigningKey } from '../pkg/games/port.js';
import { createClientAddress } from '../pkg/ingest/client-address.js';
import { DEFAULT_INGEST_LIMITS } from '../pkg/ingest/limits.js';
import { createIngestListener } from '../pkg/ingest/listener.js';
import { createServerOptions } from '../pkg/ingest/server-options.js';
import { systemClock as clock } from '../pkg/kernel/clock.js';
import { ok } from '../pkg/kernel/outcome.js';
import { systemRandom as random } from '../pkg/kernel/random.js';
import { ROLES } from '../pkg/kernel/roles.js';
import { createMetrics } from '../pkg/runtime/metrics.js';
import { quietLogger as logger, quietRefusals } from '../pkg/testkit/quiet.js';
import { serveQuestions } from './children.js';
import { BENCH_KEY } from './key.js';

/**
 * The process that answers: `bare` is the limit (read, one HMAC over the body, JSON.parse, 202), `ingest` the real way in
 * on the memory bus, whose four roles are drained by handlers that do nothing.
 */
const { keyId, secret } = BENCH_KEY;

function bareListener(): RequestListener {
  return (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      const mac = createHmac('sha256', secret).update(body).digest();
      const isSame = timingSafeEqual(mac, Buffer.alloc(32));
      const { id } = JSON.parse(body.toString('utf8')) as { id?: string };
      const answer = JSON.stringify({ id, ok: !isSame });
      response.writeHead(202, { 'Content-Type': 'application/json', 'Content-Length': answer.length });
      response.end(answer);
    });
  };
}

const key: SigningKey = {
  keyId,
  gameId: 'demo',
  secret,
  scopes: new Set(['ingest']),
  schemes: new Set(['v1']),
  trust: 'server',
  debug: false,
  notBeforeMs: 0,
  notAfterMs: null,
  revokedAtMs: null,
};
const game: Game = {
  gameId: 'demo',
  dedupeFloor: '2020-01-01',
  acceptancePastMs: 30 * 86_400_000,
  acceptanceAheadMs: 300_000,
  sessionMasterId: 'm1',
  sessionMaster: Buffer.alloc(32),
};

async function ingestListener(): Promise<RequestListener> {
  const source = readFileSync(new URL('../sample_events/demo.yaml', import.meta.url), 'utf8');
  const definition = parseDefinition(source, { gameId: 'demo', version: 1 });
  const never = (): Promise<never> => Promise.reject(new Error('nothing is dead here'));
  const policy = { maxAttempts: DEFAULT_MAX_ATTEMPTS, backoff: DEFAULT_BACKOFF, deadLetters: { put: never } };
  const bus = createMemoryBus({ ...policy, clock, random, logger });
  for (const role of ROLES) await bus.subscribe(role, (batch) => Promise.resolve(batch.map(() => ok)));
  const limiter = new MemoryRateLimiter({ clock });
  const enough = { rate: 1e7, burst: 1e7 };
  const ingest = createIngestListener({
    keyRing: {
      key: (id) => (id === keyId ? key : null),
      game: () => game,
      revocations: () => [],
      revocationsAreKnown: () => true,
      ageMs: () => 0,
    },
    definitions: { inForce: async () => definition, version: async () => definition },
    bus,
    addressLimiter: limiter,
    limiter,
    loadGate: { overload: null, publishWaitMs: () => 0 },
    refusals: quietRefusals,
    idempotency: new MemoryIdempotencyStore({ clock, random }),
    clock,
    random,
    metrics: createMetrics({ processMetrics: false }),
    logger,
    tracer: null,
    limits: { ...DEFAULT_INGEST_LIMITS, addressRate: enough, keyRate: enough },
    clientAddress: createClientAddress({ kind: 'none' }),
    signedPathPrefix: '',
    corsOrigins: [],
  });
  return (request, response) => void ingest(request, response);
}

export type ServerQuestion =
  | { readonly kind: 'port' | 'cpu' }
  | { readonly kind: 'parse'; readonly body: string; readonly forMs: number };

/** JSON.parse and one HMAC over a body, nothing else: how often in the given time. */
function parseAlone(text: string, forMs: number): { timesPerSecond: number } {
  const body = Buffer.from(text);
  const beganMs = performance.now();
  let times = 0;
  while (performance.now() - beganMs < forMs) {
    createHmac('sha256', secret).update(body).digest();
    JSON.parse(body.toString('utf8'));
    times += 1;
  }
  return { timesPerSecond: times / ((performance.now() - beganMs) / 1000) };
}

const isBare = process.argv[2] === 'bare';
const server = createServer(createServerOptions(), isBare ? bareListener() : await ingestListener());
server.listen(0, '127.0.0.1', () => {
  serveQuestions((question: ServerQuestion) => {
    if (question.kind === 'parse') return parseAlone(question.body, question.forMs);
    if (question.kind === 'port') return { port: (server.address() as AddressInfo).port };
    const { user, system } = process.cpuUsage();
    return { cpuUs: user + system };
  });
});
