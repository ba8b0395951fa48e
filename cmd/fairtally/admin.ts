import { join } from 'node:path';
import type { Command } from 'commander';
import {
  ensureFirstAdmin,
  FIRST_ADMIN,
  resetAdmin,
  type FirstAdminDeps,
} from '../../pkg/admin/sign-in/first-admin.postgres.js';
import { rotateTokenKeys } from '../../pkg/admin/sign-in/token-keys.postgres.js';
import { createGameDatabase } from '../../pkg/admin/game-database.postgres.js';
import { createPasswords } from '../../pkg/admin/sign-in/passwords.js';
import type { Database } from '../../pkg/postgres/port.js';
import { masterKeyText, replaceSecretFile } from '../../pkg/runtime/secret-files.js';
import { createSealer, parseMasterKeys } from '../../pkg/secrets/seal.js';
import type { Sealer } from '../../pkg/secrets/port.js';
import { refuseForeignMasterKey } from '../../pkg/games/tenants/postgres.js';
import type { CommandLine } from '../command-line.js';
import { openAs, withDatabase, withNewDatabase } from '../database.js';
import { operatorName } from '../operator-name.js';
import type { Process } from '../platform.js';

/** Where a password stands that no person was there to see, below DATA_DIR/secrets; each user has a file of their own. */
const passwordFile = (user: string): string => `${encodeURIComponent(user)}.password`;
export const PASSWORD_FILE = passwordFile(FIRST_ADMIN);

type Parts = Pick<Process, 'clock' | 'random'>;

const depsOf = (db: Database, { clock, random }: Parts): FirstAdminDeps => ({
  db,
  passwords: createPasswords(),
  clock,
  random,
  by: operatorName(),
});

/**
 * The first user of the dashboard, where there is none. The password goes to the terminal of whoever starts this, and to a
 * file of theirs alone where there is no terminal; never to a log.
 */
export async function makeFirstAdmin(
  db: Database,
  { config, isTerminal, ...parts }: Parts & Pick<Process, 'config'> & { readonly isTerminal: boolean },
): Promise<string | null> {
  const password = await ensureFirstAdmin(depsOf(db, parts));
  if (password !== null && !isTerminal)
    replaceSecretFile(config.storage.dataDir, PASSWORD_FILE, password, parts.random);
  return password;
}

/** `fairtally admin`: what can be done about users and their tokens without signing in. */
export function describeAdmin(admin: Command, line: CommandLine): void {
  describeReset(admin.command('reset'), line);
  describeRotateKeys(admin.command('rotate-keys'), line);
}

function describeRotateKeys(command: Command, line: CommandLine): void {
  const { program, out, clock, random } = line;
  command
    .description('make the next key of access tokens, as happens by itself every 30 days')
    .option('--at-once', 'tokens of the old keys end now, for when somebody else may have them')
    .action(
      program.action(({ atOnce }: { atOnce?: true }) =>
        withDatabase(
          line,
          async ({ db, databaseUrl }) => {
            const sealer = await sealerFor(databaseUrl, line);
            const actor = { userId: null, name: operatorName(), requestId: '' };
            const deps = { games: createGameDatabase(db, clock), sealer, random, clock };
            const rotation = { actor, onlyWhenOld: false, atOnce: atOnce === true };
            const made = await rotateTokenKeys(rotation, deps);
            if (made === null) return 1;
            out.line(
              `Key ${made.kid} signs access tokens from ${new Date(made.signsFromMs).toISOString()} on.`,
            );
            out.line(
              atOnce === true
                ? 'The old keys have ended; processes know it within ten seconds, and pages sign on by themselves.'
                : 'The old keys hold until the last token of theirs has ended.',
            );
            return 0;
          },
          'fairtally_api',
        ),
      ),
    );
}

/** The role that users and tokens are kept by cannot read the secrets of games, which tell whose master key this is. */
async function sealerFor(databaseUrl: string, { config, random }: CommandLine): Promise<Sealer> {
  const sealer = createSealer(parseMasterKeys(masterKeyText(config(), random)), random);
  const worker = openAs('fairtally_worker', databaseUrl);
  try {
    await refuseForeignMasterKey(worker, sealer);
  } finally {
    await worker.close();
  }
  return sealer;
}

function describeReset(command: Command, line: CommandLine): void {
  command
    .description('give an admin of every game a new password; makes the user where there is none')
    .option('--user <name>', 'whose', FIRST_ADMIN)
    .action(
      line.program.action(({ user }: { user: string }) =>
        withNewDatabase(
          line,
          async ({ db }) => {
            const { out } = line;
            const password = await resetAdmin(user, depsOf(db, line));
            if (password === null) {
              out.line(`${user} signs in at the OpenID Connect issuer and has no password here.`);
              return 1;
            }
            if (out.isTerminal) {
              out.line(`user      ${user}`);
              out.line(`password  ${password}`);
              out.line('It is not shown again. Every session of this user has ended.');
            } else {
              const { dataDir } = line.config().storage;
              replaceSecretFile(dataDir, passwordFile(user), password, line.random);
              out.line(`The password of ${user} is in ${join(dataDir, 'secrets', passwordFile(user))}.`);
            }
            return 0;
          },
          'fairtally_api',
        ),
      ),
    );
}
