import { existsSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolesWithUnread } from '../../pkg/bus/postgres.js';
import { createSignedClient } from '../../pkg/client/signed-client.js';
import { replayCommand } from '../../pkg/cli/replay.js';
import { outputTo, type Output } from '../../pkg/cli/output.js';
import { createDefinitionStore } from '../../pkg/games/definitions/postgres.js';
import { createKeyStore } from '../../pkg/games/keys/postgres.js';
import { DEFAULT_GAME_ID, DEFAULT_KEY_ID, describeSeed, ensureGame } from '../../pkg/games/seed.js';
import { createGameStore } from '../../pkg/games/tenants/postgres.js';
import { FairtallyError } from '../../pkg/kernel/errors.js';
import { createDatabase } from '../../pkg/postgres/database.js';
import { migrate } from '../../pkg/postgres/migrate.js';
import { inheritedEnvironment, readConfig } from '../../pkg/runtime/config.js';
import { removeRunning, writeRunning } from '../../pkg/runtime/running-file.js';
import { demoSecret, masterKeyText } from '../../pkg/runtime/secret-files.js';
import { createTerminalLog } from '../../pkg/runtime/terminal-log.js';
import { createSealer, parseMasterKeys } from '../../pkg/secrets/seal.js';
import { createProcess, type Process } from '../platform.js';
import { openEngines, type Engines } from './engines.js';
import { supervise, type ChildPlan } from './supervisor.js';

const SAMPLE = new URL('../../sample_events/', import.meta.url);
const sampleFile = (name: string): string => fileURLToPath(new URL(name, SAMPLE));
const script = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/**
 * The all-in-one: brings its own PostgreSQL and Redis where none is named, prepares the database, runs gateway and worker
 * as processes of their own, feeds the sample season once, and says where to look.
 */
export async function runAllInOne(): Promise<void> {
  const config = readConfig();
  const out = outputTo(globalThis.process.stdout);
  // A person sees what matters to them and finds the rest in a file; a container's log collector wants every line.
  const log = out.isTerminal
    ? createTerminalLog(join(config.storage.dataDir, 'log', 'fairtally.log'), (line) => out.line(line))
    : null;
  const process = createProcess('fairtally', config, log ?? undefined);
  const { lifecycle, logger, clock } = process;
  await lifecycle.run(async () => {
    const engines = await openEngines(process);
    const secret = await prepare(process, engines);
    const { host } = config.http;
    // Every process must learn the port, and so must this one: it is settled before they start.
    const port = config.http.port === 0 ? await freePort(host) : config.http.port;
    const url = `http://${host.includes(':') ? `[${host}]` : host}:${String(port)}`;
    writeRunning(config.storage.dataDir, { ...engines, url });
    lifecycle.onStop('running file', () => removeRunning(config.storage.dataDir));

    if (out.isTerminal) out.line('Starting gateway and worker ...');
    const writeLog = log === null ? null : (text: string): void => log.write(text);
    const supervisor = supervise(plansOf(process, engines, port), { clock, logger, writeLog });
    lifecycle.onStop('gateway and worker', () => supervisor.stop());
    supervisor.failed.catch((error: unknown) => lifecycle.fail('a part could not be kept running', error));
    await Promise.race([supervisor.ready, supervisor.failed]);
    const isOurs = config.storage.databaseUrl === null;
    if (config.game.sampleEvents ?? isOurs) await feedSample(process, { url, secret, out, engines });
    tellWhereToLook(out, process, url);
  });
}

/** Schema, the game, its definition and its first key. Answers the key's secret. */
async function prepare(process: Process, engines: Engines): Promise<string> {
  const { config, clock, random, logger } = process;
  const db = createDatabase({ url: engines.databaseUrl, poolSize: 2, applicationName: 'fairtally start' });
  try {
    const isEmbedded = config.storage.databaseUrl === null;
    const applied = isEmbedded ? await migrate(db) : [];
    if (applied.length > 0) logger.info({ migrations: applied }, 'the database is prepared');
    const sealer = createSealer(parseMasterKeys(masterKeyText(config, random)), random);
    const secret = demoSecret(config, random);
    // Somebody else's database gets the demo game only when it is asked for by its secret.
    if (!isEmbedded && config.secrets.hmacSecret === null) return secret;
    const seeded = await ensureGame({
      games: createGameStore(db, sealer, random),
      definitions: createDefinitionStore(db),
      keys: createKeyStore({ database: db, sealer, random, clock }),
      definitionFile: config.game.definitionFile ?? sampleFile('demo.yaml'),
      secret,
      mayReplaceSecret: config.secrets.hmacSecret !== null && config.environment !== 'production',
    });
    for (const line of describeSeed(seeded)) logger.info({}, line);
    return secret;
  } finally {
    await db.close();
  }
}

function plansOf({ config, random }: Process, engines: Engines, port: number): ChildPlan[] {
  const shared = inheritedEnvironment({
    DATABASE_URL: engines.databaseUrl,
    PORT: String(port),
    ...(engines.redisUrl === null ? {} : { REDIS_URL: engines.redisUrl }),
    MASTER_KEY: masterKeyText(config, random),
    MASTER_KEY_FILE: '',
  });
  if (config.bus.driver === 'memory')
    return [{ name: 'gateway and worker', script: script('./one-process.js'), env: shared }];
  const { metricsPort } = config.http;
  const workerMetricsPort = metricsPort === 0 ? 0 : metricsPort + 1;
  return [
    { name: 'gateway', script: script('../gateway/main.js'), env: shared },
    {
      name: 'worker',
      script: script('../worker/main.js'),
      env: { ...shared, METRICS_PORT: String(workerMetricsPort) },
    },
  ];
}

/** A port that nobody has at this moment. */
const freePort = (host: string): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, host, () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });

/** Once per data directory: the mark is made when the last event is answered, and a killed feed goes on where it was. */
async function feedSample(
  process: Process,
  { url, secret, out, engines }: { url: string; secret: string; out: Output; engines: Engines },
): Promise<void> {
  const { config, clock, random, lifecycle } = process;
  const mark = join(config.storage.dataDir, 'sample-season.fed');
  if (existsSync(mark)) return;
  const client = createSignedClient({ url, keyId: DEFAULT_KEY_ID, secret, clock });
  try {
    out.line('Feeding the sample season through the front door, once:');
    const code = await replayCommand(
      {
        files: [sampleFile('season.ndjson')],
        url,
        rate: null,
        concurrency: 4,
        rebase: 'auto',
        isDryRun: false,
        isResume: true,
        checkpointPath: join(config.storage.dataDir, 'sample-season.checkpoint.json'),
      },
      { client, clock, random, out, signal: lifecycle.stopping },
    );
    if (config.bus.driver === 'postgres') await waitForRoles(process, engines, out);
    if (code === 0) writeFileSync(mark, `${new Date(clock.now()).toISOString()}\n`);
  } catch (error) {
    if (!(error instanceof FairtallyError)) throw error;
    out.line(`The sample season was not fed: ${error.message}`);
  } finally {
    client.close();
  }
}

const SETTLED_TIMEOUT_MS = 30_000;
const SETTLED_POLL_MS = 100;

/** What was accepted is safe; a newcomer wants to see it on the boards, so the roles get a moment to catch up. */
async function waitForRoles(
  { clock, lifecycle }: Process,
  { databaseUrl }: Engines,
  out: Output,
): Promise<void> {
  const db = createDatabase({ url: databaseUrl, poolSize: 1, applicationName: 'fairtally start' });
  const deadline = clock.monotonicMs() + SETTLED_TIMEOUT_MS;
  try {
    while (!lifecycle.stopping.aborted && clock.monotonicMs() < deadline) {
      if ((await rolesWithUnread(db)).length === 0) return out.line('Every role has settled every event.');
      await clock.sleep(SETTLED_POLL_MS, lifecycle.stopping);
    }
  } finally {
    await db.close();
  }
}

function tellWhereToLook(out: Output, { config }: Process, url: string): void {
  const lines = [
    '',
    'Fairtally is running.',
    `  The XP board     ${url}/v1/leaderboards/xp?window=all-time&limit=10`,
    `  The boss board   ${url}/v1/leaderboards/boss-time?window=all-time&partition=hydra`,
    `  The API          ${url}/docs`,
    `  Health           ${url}/readyz`,
    `  Metrics          http://${config.http.host}:${String(config.http.metricsPort)}/metrics (worker: port ${String(config.http.metricsPort + 1)})`,
    '',
    `  Send an event    ./fairtally send progression deltaXp=150 activity=quest --player ${DEFAULT_GAME_ID}-player`,
    `  Your key         id ${DEFAULT_KEY_ID}, secret in ${config.secrets.hmacSecret === null ? join(config.storage.dataDir, 'secrets', 'demo.hmac') : 'HMAC_SECRET'}`,
    '  Prove it         ./fairtally audit',
    `  Log              ${out.isTerminal ? join(config.storage.dataDir, 'log', 'fairtally.log') : 'this output'}`,
    '  Stop             Ctrl-C',
    '',
  ];
  for (const line of lines) out.line(line);
}
