import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FIRST_ADMIN } from '../../pkg/admin/sign-in/first-admin.postgres.js';
import { rolesWithUnread } from '../../pkg/bus/postgres.js';
import { createSignedClient } from '../../pkg/client/signed-client.js';
import { replayCommand } from '../../pkg/cli/replay.js';
import { outputTo, type Output } from '../../pkg/cli/output.js';
import { DEFAULT_GAME_ID, DEFAULT_KEY_ID } from '../../pkg/games/seed.js';
import { FairtallyError } from '../../pkg/kernel/errors.js';
import { createDatabase } from '../../pkg/postgres/database.js';
import { readConfig, type Config } from '../../pkg/runtime/config.js';
import { createTerminalLog } from '../../pkg/runtime/terminal-log.js';
import { createProcess, type Process } from '../platform.js';
import { PASSWORD_FILE } from './admin.js';
import { sampleFile, startAllInOne, type AllInOne } from './all-in-one.js';
import type { Engines } from './engines.js';

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
  await process.lifecycle.run(async () => {
    const all = await startAllInOne(process, {
      writeLog: log === null ? null : (text) => log.write(text),
      isTerminal: out.isTerminal,
      onStarting: (adminPassword) => {
        if (!out.isTerminal) return;
        if (adminPassword !== null)
          out.line(`The dashboard's first user: ${FIRST_ADMIN}, password ${adminPassword} (kept nowhere)`);
        out.line('Starting gateway, worker and dashboard ...');
      },
    });
    const isOurs = config.storage.databaseUrl === null;
    if (config.game.sampleEvents ?? isOurs) await feedSample(process, { ...all, out });
    tellWhereToLook(out, process, all);
  });
}

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
  const db = createDatabase({
    url: databaseUrl,
    role: 'fairtally_worker',
    poolSize: 1,
    applicationName: 'fairtally start',
  });
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

function tellWhereToLook(out: Output, { config }: Process, all: AllInOne): void {
  const { url, adminUrl } = all;
  const lines = [
    '',
    'Fairtally is running.',
    `  The dashboard    ${adminUrl}${howToSignIn(out, config, all)}`,
    `  The XP board     ${url}/v1/leaderboards/xp?window=all-time&limit=10`,
    `  The boss board   ${url}/v1/leaderboards/boss-time?window=all-time&partition=hydra`,
    `  The API          ${url}/docs`,
    `  Health           ${url}/readyz`,
    `  Metrics          ${whereMetricsAre(config)}`,
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

const whereMetricsAre = ({ http: { host, metricsPort } }: Config): string =>
  metricsPort === 0
    ? 'at ports that the system chose (METRICS_PORT=0)'
    : `http://${host}:${String(metricsPort)}/metrics (worker: port ${String(metricsPort + 1)}, dashboard: ${String(metricsPort + 2)})`;

/** A password is shown to a person alone, once; what no person sees is in a file. */
function howToSignIn(out: Output, { storage }: Config, { adminPassword }: AllInOne): string {
  if (adminPassword === null) return '  (forgot the password: ./fairtally admin reset)';
  return out.isTerminal
    ? `  user ${FIRST_ADMIN}, password ${adminPassword} (not shown again)`
    : `  user ${FIRST_ADMIN}, password in ${join(storage.dataDir, 'secrets', PASSWORD_FILE)}`;
}
