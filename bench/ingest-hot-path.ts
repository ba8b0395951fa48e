/**
 * How much of a bare node:http listener's rate the way in keeps. Run: `npx tsx bench/ingest-hot-path.ts [seconds]`.
 *
 * Each server is a process of its own; this one sends requests signed beforehand over 64 keep-alive connections. The bare
 * listener reads the body, computes one HMAC over it, parses it and answers 202.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { createHmac, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { MemoryIdempotencyStore, MemoryRateLimiter } from '../pkg/admission/memory.js';
import { createMemoryBus } from '../pkg/bus/memory.js';
import type { Bus } from '../pkg/bus/port.js';
import { parseDefinition } from '../pkg/games/definition-file.js';
import type { Game, SigningKey } from '../pkg/games/port.js';
import { systemClock } from '../pkg/kernel/clock.js';
import { ok } from '../pkg/kernel/outcome.js';
import { systemRandom } from '../pkg/kernel/random.js';
import { createClientAddress } from '../pkg/ingest/client-address.js';
import { DEFAULT_INGEST_LIMITS } from '../pkg/ingest/limits.js';
import { createIngestListener } from '../pkg/ingest/listener.js';
import { createServerOptions } from '../pkg/ingest/server-options.js';
import { createMetrics } from '../pkg/runtime/metrics.js';
import { sign } from '../pkg/signing/sign.js';
import { quietLogger } from '../pkg/testkit/quiet.js';

const SECRET = 'bench-secret-0123456789abcdef0123456789';
const CONNECTIONS = 64;
const BATCH = 100;

const key: SigningKey = {
  keyId: 'bench',
  gameId: 'demo',
  secret: SECRET,
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

function bareListener(): RequestListener {
  return (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      const mac = createHmac('sha256', SECRET).update(body).digest();
      const isSame = timingSafeEqual(mac, Buffer.alloc(32));
      const value = JSON.parse(body.toString('utf8')) as { id?: string };
      const answer = `{"id":"${value.id ?? ''}","ok":${String(!isSame)}}`;
      response.writeHead(202, { 'Content-Type': 'application/json', 'Content-Length': answer.length });
      response.end(answer);
    });
  };
}

async function ingestListener(withBus: boolean): Promise<RequestListener> {
  const { clock, random } = { clock: systemClock, random: systemRandom };
  const source = readFileSync(new URL('../sample_events/demo.yaml', import.meta.url), 'utf8');
  const definition = parseDefinition(source, { gameId: 'demo', version: 1 });
  const memory = createMemoryBus({ roles: ['archive'], clock } as unknown as Parameters<
    typeof createMemoryBus
  >[0]);
  if (withBus) await memory.subscribe('archive', (batch) => Promise.resolve(batch.map(() => ok)));
  const bus: Pick<Bus, 'publish'> = withBus ? memory : { publish: () => Promise.resolve() };
  const limiter = new MemoryRateLimiter({ clock });
  const enough = { rate: 1e7, burst: 1e7 };
  const ingest = createIngestListener({
    keyRing: {
      key: (keyId) => (keyId === key.keyId ? key : null),
      game: () => game,
      revocations: () => [],
      ageMs: () => 0,
    },
    definitions: {
      inForce: () => Promise.resolve(definition),
      version: () => Promise.resolve(definition),
    },
    bus,
    addressLimiter: limiter,
    limiter,
    idempotency: new MemoryIdempotencyStore({ clock, random }),
    clock,
    random,
    metrics: createMetrics({ processMetrics: false }),
    logger: quietLogger,
    limits: { ...DEFAULT_INGEST_LIMITS, addressRate: enough, keyRate: enough },
    clientAddress: createClientAddress({ kind: 'none' }),
    signedPathPrefix: '',
    corsOrigins: [],
  });
  return (request, response) => void ingest(request, response);
}

async function serve(kind: string): Promise<void> {
  const listener = kind === 'bare' ? bareListener() : await ingestListener(kind === 'memory');
  const server = createServer(createServerOptions(), listener);
  server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
  process.on('message', () => process.send?.(process.cpuUsage()));
  process.on('disconnect', () => process.exit());
}

let counter = 0;
const run = Date.now().toString(36);

function eventOf(nowMs: number): object {
  const n = (counter += 1);
  const payload = { deltaXp: 150, activity: 'quest' };
  return {
    id: `evt-${run}-${String(n)}`,
    type: 'progression',
    playerId: `p-${String(n % 5000)}`,
    ts: nowMs,
    payload,
  };
}

function requestOf(path: string, body: string): Buffer {
  const timestamp = String(Math.floor(Date.now() / 1000));
  const { signature } = sign({
    method: 'POST',
    target: path,
    keyId: key.keyId,
    timestamp,
    body,
    secret: SECRET,
  });
  const lines = [
    `POST ${path} HTTP/1.1`,
    'Host: localhost',
    'Content-Type: application/json',
    `Content-Length: ${String(Buffer.byteLength(body))}`,
    `X-Key-Id: ${key.keyId}`,
    `X-Timestamp: ${timestamp}`,
    `X-Signature: ${signature}`,
  ];
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`);
}

const singles = (count: number): Buffer[] =>
  Array.from({ length: count }, () => requestOf('/v1/events', JSON.stringify(eventOf(Date.now()))));
const batchBody = (): string => JSON.stringify(Array.from({ length: BATCH }, () => eventOf(Date.now())));
const batches = (count: number): Buffer[] =>
  Array.from({ length: count }, () => requestOf('/v1/events/batch', batchBody()));

async function start(kind: string): Promise<{ child: ChildProcess; port: number }> {
  const child = spawn(
    process.execPath,
    [...process.execArgv, fileURLToPath(import.meta.url), 'serve', kind],
    {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    },
  );
  const port = await new Promise<number>((resolve) =>
    child.once('message', (message) => resolve(message as number)),
  );
  return { child, port };
}

/** Sends every request once over `CONNECTIONS` connections; requests per second. */
async function send(port: number, requests: readonly Buffer[]): Promise<number> {
  let next = 0;
  let refused = 0;
  const beganMs = performance.now();
  const one = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', noDelay: true });
      let missing = 0;
      const sendNext = (): void => {
        const request = requests[next];
        next += 1;
        if (request === undefined) {
          socket.end();
          return resolve();
        }
        socket.write(request);
      };
      socket.on('connect', sendNext);
      socket.on('error', reject);
      socket.on('data', (chunk: Buffer) => {
        if (missing === 0) {
          const head = chunk.indexOf('\r\n\r\n');
          const length = Number(/content-length: (\d+)/i.exec(chunk.toString('latin1', 0, head))?.[1]);
          if (chunk.toString('latin1', 9, 12) !== '202') refused += 1;
          missing = head + 4 + length;
        }
        missing -= chunk.length;
        if (missing === 0) sendNext();
      });
    });
  await Promise.all(Array.from({ length: CONNECTIONS }, one));
  if (refused > 0) throw new Error(`${String(refused)} requests were not answered 202`);
  return requests.length / ((performance.now() - beganMs) / 1000);
}

/** Microseconds of processor time that a server has used so far. */
const cpuOf = (child: ChildProcess): Promise<number> =>
  new Promise((resolve) => {
    child.once('message', (usage) => {
      const { user, system } = usage as NodeJS.CpuUsage;
      resolve(user + system);
    });
    child.send('cpu');
  });

interface Measured {
  readonly perSecond: number;
  /** Processor time of the server per request: what a busy machine does not disturb. */
  readonly cpuUs: number;
}

async function measure(
  kind: string,
  warm: readonly Buffer[],
  requests: readonly Buffer[],
): Promise<Measured> {
  const { child, port } = await start(kind);
  await send(port, warm);
  const beforeUs = await cpuOf(child);
  const perSecond = await send(port, requests);
  const cpuUs = ((await cpuOf(child)) - beforeUs) / requests.length;
  child.disconnect();
  return { perSecond, cpuUs };
}

/** JSON.parse and one HMAC over the body of a batch, nothing else. */
function parseAlone(times: number): Measured {
  const body = Buffer.from(batchBody());
  const before = process.cpuUsage();
  const beganMs = performance.now();
  for (let i = 0; i < times; i += 1) {
    createHmac('sha256', SECRET).update(body).digest();
    JSON.parse(body.toString('utf8'));
  }
  const { user, system } = process.cpuUsage(before);
  return { perSecond: times / ((performance.now() - beganMs) / 1000), cpuUs: (user + system) / times };
}

async function main(requests: number): Promise<void> {
  const print = (name: string, measured: Measured, limit: Measured, goal = ''): void => {
    const rate = Math.round(measured.perSecond).toString().padStart(8);
    const ratios = `rate ${(measured.perSecond / limit.perSecond).toFixed(2)}  processor ${(limit.cpuUs / measured.cpuUs).toFixed(2)}`;
    console.log(
      `${name.padEnd(30)} ${rate}/s ${measured.cpuUs.toFixed(1).padStart(8)} us  ${ratios}  ${goal}`,
    );
  };
  const warm = Math.ceil(requests / 4);
  const bare = await measure('bare', singles(warm), singles(requests));
  print('bare listener, single', bare, bare);
  print('ingest, single, no bus', await measure('none', singles(warm), singles(requests)), bare);
  print(
    'ingest, single, memory bus',
    await measure('memory', singles(warm), singles(requests)),
    bare,
    'goal 0.6',
  );
  const alone = parseAlone(20_000);
  print('JSON.parse + HMAC, batch', alone, alone);
  const [warmBatches, batchCount] = [Math.ceil(warm / 20), Math.ceil(requests / 20)];
  for (const kind of ['none', 'memory']) {
    const measured = await measure(kind, batches(warmBatches), batches(batchCount));
    print(`ingest, batch of ${String(BATCH)}, ${kind} bus`, measured, alone, 'goal 0.3');
  }
}

const [mode, argument] = process.argv.slice(2);
if (mode === 'serve') await serve(argument ?? 'bare');
else await main(Number(mode ?? 100_000));
