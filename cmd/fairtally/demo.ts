import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { auditGame } from '../../pkg/audit/audit.js';
import { rolesWithUnread } from '../../pkg/bus/postgres.js';
import { readFound } from '../../pkg/chaos/effects.postgres.js';
import { crashDemo, type Victim } from '../../pkg/cli/crash-demo.js';
import { describeFailure, wholeNumber } from '../../pkg/cli/program.js';
import { createSignedClient } from '../../pkg/client/signed-client.js';
import { rerun } from '../../pkg/fairness/rerun.js';
import { createDefinitionSource } from '../../pkg/games/definitions/postgres.js';
import { DEFAULT_GAME_ID, DEFAULT_KEY_ID } from '../../pkg/games/seed.js';
import { createDatabase } from '../../pkg/postgres/database.js';
import { readConfig } from '../../pkg/runtime/config.js';
import type { CommandLine } from '../command-line.js';
import { createProcess } from '../platform.js';
import { startAllInOne, type AllInOne } from './all-in-one.js';
import { takes } from './takes.js';

const SECONDS_MAX = 3_600;
const VICTIMS: readonly Victim[] = ['gateway', 'worker', 'postgres', 'redis'];

/** `demo crash`: a newcomer sees the promise kept, in an installation of its own that is gone afterwards. */
export function describeDemo(demo: Command, line: CommandLine): void {
  demo
    .command('crash')
    .description('load and SIGKILLs on an installation of its own, then what was lost or counted twice')
    .option('--seconds <n>', 'how long', wholeNumber(5, SECONDS_MAX), 60)
    .action(line.program.action(({ seconds }: { seconds: number }) => demonstrate(seconds, line)));
}

async function demonstrate(seconds: number, line: CommandLine): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'fairtally-demo-'));
  // Whatever the environment says of a real installation must not reach this one.
  const variables = {
    NODE_ENV: 'development',
    DATA_DIR: folder,
    DATABASE_URL: '',
    REDIS_URL: '',
    BUS: 'postgres',
    HOST: '127.0.0.1',
    PORT: '0',
    METRICS_PORT: '0',
    ADMIN_PORT: '0',
    ADMIN_URL: '',
    OIDC_ISSUER: '',
    OIDC_AUDIENCE: '',
    OIDC_CLIENT_SECRET: '',
    MASTER_KEY: '',
    MASTER_KEY_FILE: '',
    HMAC_SECRET: '',
    GAME_DEFINITION: '',
    SIGNED_PATH_PREFIX: '',
    TRUST_PROXY: '',
    RATE_LIMIT: 'off',
    LOG_LEVEL: 'silent',
  };
  const process = createProcess('fairtally', readConfig(variables));
  const { lifecycle } = process;
  let code = 1;
  const done = new Promise<number>((resolve) => {
    lifecycle.onStop('demonstration', () => {
      rmSync(folder, { recursive: true, force: true });
      resolve(code);
    });
  });
  await lifecycle.run(async () => {
    line.out.line('Starting PostgreSQL, Redis, a gateway and a worker in a folder of their own ...');
    try {
      const system = await startAllInOne(process, { writeLog: () => undefined, variables });
      code = await underFire(seconds, system, { line, stopping: lifecycle.stopping });
    } catch (error) {
      // The log of this installation is silent, and gone afterwards.
      for (const text of describeFailure(error, false)) line.out.line(text);
    }
    if (code === 0) lifecycle.stop('the demonstration is over');
    else lifecycle.fail('the demonstration failed', null);
  });
  return done;
}

async function underFire(
  seconds: number,
  { url, secret, engines, pidOf }: AllInOne,
  { line, stopping }: { readonly line: CommandLine; readonly stopping: AbortSignal },
): Promise<number> {
  const { clock, random, out } = line;
  const client = createSignedClient({ url, keyId: DEFAULT_KEY_ID, secret, clock });
  const db = createDatabase({
    url: engines.databaseUrl,
    role: 'fairtally_worker',
    poolSize: 2,
    applicationName: 'fairtally demo',
    onIdleError: () => undefined, // it is killed on purpose
  });
  try {
    return await crashDemo(seconds, {
      client,
      victims: VICTIMS.filter((victim) => pidOf(victim) !== null),
      kill: (victim) => {
        const pid = pidOf(victim);
        if (pid !== null) process.kill(pid, 'SIGKILL');
        return pid !== null;
      },
      found: () => readFound(db, DEFAULT_GAME_ID),
      unsettled: async () => (await rolesWithUnread(db)).reduce((sum, { waiting }) => sum + waiting, 0),
      audit: async () => {
        const definitions = createDefinitionSource(db);
        const result = await auditGame(DEFAULT_GAME_ID, { db, definitions, clock, takes, rerun });
        return result.differences.length;
      },
      clock,
      random,
      out,
      signal: stopping,
    });
  } finally {
    client.close();
    await db.close();
  }
}
