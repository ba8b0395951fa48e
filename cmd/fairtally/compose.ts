import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { auditGame } from '../../pkg/audit/audit.js';
import { auditCommand } from '../../pkg/cli/audit.js';
import {
  applyDefinition,
  listDefinitions,
  planDefinition,
  type DefinitionCommand,
} from '../../pkg/cli/definition.js';
import { listFindings } from '../../pkg/cli/findings.js';
import { readNamedFile } from '../../pkg/cli/files.js';
import { createKey, listKeys, retireKey, rotateKey, type KeyCommandDeps } from '../../pkg/cli/keys.js';
import { day, instant, someOf, wholeNumber } from '../../pkg/cli/program.js';
import { send } from '../../pkg/cli/send.js';
import { table } from '../../pkg/cli/table.js';
import { listFindings as findingsOf } from '../../pkg/fairness/queries.postgres.js';
import { rerun } from '../../pkg/fairness/rerun.js';
import { createDefinitionSource, createDefinitionStore } from '../../pkg/games/definitions/postgres.js';
import { createKeyStore } from '../../pkg/games/keys/postgres.js';
import type { Scheme, Scope } from '../../pkg/games/port.js';
import { DEFAULT_GAME_ID, describeSeed, ensureGame } from '../../pkg/games/seed.js';
import { createGameStore, refuseForeignMasterKey } from '../../pkg/games/tenants/postgres.js';
import { uuid7 } from '../../pkg/kernel/uuid7.js';
import { commandsOfAdministrator } from '../../pkg/postgres/database-roles.js';
import type { Database } from '../../pkg/postgres/port.js';
import { masterKeyText } from '../../pkg/runtime/secret-files.js';
import { createSealer, parseMasterKeys } from '../../pkg/secrets/seal.js';
import type { Sealer } from '../../pkg/secrets/port.js';
import {
  createCommandLine,
  KEY_OPTION,
  SECRET_OPTION,
  URL_OPTION,
  withGateway,
  type CommandLine,
  type GatewayOptions,
} from '../command-line.js';
import type { Output } from '../../pkg/cli/output.js';
import { beginLife } from '../../pkg/postgres/life.js';
import { withDatabase, withMigratedDatabase, withNewDatabase } from '../database.js';
import { operatorName } from '../operator-name.js';
import { describeReplay } from '../replay/compose.js';
import { describeAdmin } from './admin.js';
import { describeBus } from './bus.js';
import { describeDead } from './dead.js';
import { describeDemo } from './demo.js';
import { takes } from './takes.js';
import { describeRebuild } from './rebuild.js';
import { describePlayers, withViewCheck } from './views.js';

const GAME_OPTION = ['--game <id>', 'the game', DEFAULT_GAME_ID] as const;
const SAMPLE_DEFINITION = fileURLToPath(new URL('../../sample_events/demo.yaml', import.meta.url));
const FINDINGS_MAX = 1_000;
const OVERLAP_MAX_HOURS = 24 * 365;

/** The command line `fairtally`, ready to run. */
export function composeFairtally(): CommandLine {
  const line = createCommandLine('fairtally', 'Signed in, exact out: telemetry for games');
  const { root } = line.program;
  describeRun(root, line);
  describeSend(root.command('send'), line);
  describeReplay(root.command('replay'), line);
  describeGames(root.command('games').description('the games of this installation'), line);
  describeKeys(root.command('keys').description('the signing keys of games'), line);
  describeDefinition(root.command('definition').description('the versions of game definitions'), line);
  describePlayers(root.command('player').description('take a player off the boards, or back'), line);
  describeFindings(root.command('findings'), line);
  describeBus(root.command('bus').description('what an operator does with the bus that BUS names'), line);
  describeDead(root, line);
  describeDemo(root.command('demo').description('see the promise kept'), line);
  describeAdmin(root.command('admin').description('users of the dashboard'), line);
  describeMaintenance(root, line);
  return line;
}

function describeRun(root: Command, { program }: CommandLine): void {
  root
    .command('run')
    .description(
      'start everything in one: gateway, workers, dashboard, and PostgreSQL and Redis where none are named',
    )
    .action(
      program.action(async () => {
        const { runAllInOne } = await import('./run.js');
        await runAllInOne();
        return 0;
      }),
    );
}

function describeSend(command: Command, line: CommandLine): void {
  command
    .description('send one event, show how it was signed, and wait until a board shows it')
    .argument('<type>', 'event type, such as progression')
    .argument('[fields...]', 'payload as key=value: deltaXp=150 activity=quest')
    .option('--player <id>', 'the player', 'player-1')
    .option(...URL_OPTION)
    .option(...KEY_OPTION)
    .option(...SECRET_OPTION)
    .action(
      line.program.action((type: string, fields: string[], options: GatewayOptions & { player: string }) => {
        const { clock, random, out } = line;
        const id = uuid7(clock, random);
        const event = { type, fields, playerId: options.player, id, idempotencyKey: id };
        return withGateway(options, line, 1, (client) => send(event, { client, clock, out }));
      }),
    );
}

function describeGames(games: Command, line: CommandLine): void {
  const { program, out, random } = line;
  type Work = (store: ReturnType<typeof createGameStore>) => Promise<number>;
  const withGames = (work: Work, lend = withDatabase): Promise<number> =>
    lend(line, async ({ db }) => work(createGameStore(db, await sealerFor(db, line), random)));
  games
    .command('create')
    .description('make a game; it then needs a definition and a key')
    .argument('<id>', 'lower-case letters, digits and hyphens')
    .option('--floor <day>', 'events of earlier days are refused for good', day, '1970-01-01')
    .action(
      program.action((gameId: string, { floor }: { floor: string }) =>
        withGames(async (store) => {
          const isNew = await store.create({ gameId, dedupeFloor: floor });
          out.line(isNew ? `Game ${gameId} is made.` : `There is a game ${gameId} already; nothing changed.`);
          return isNew ? 0 : 1;
        }, withNewDatabase),
      ),
    );
  games
    .command('list')
    .description('show the games')
    .action(
      program.action(() =>
        withGames(async (store) => {
          const rows = (await store.list()).map(({ gameId, dedupeFloor }) => [gameId, dedupeFloor]);
          out.line(rows.length === 0 ? 'No games.' : table(['game', 'events before are refused'], rows));
          return 0;
        }),
      ),
    );
}

interface NewKeyOptions {
  readonly game: string;
  readonly id?: string;
  readonly scopes: Scope[];
  readonly schemes: Scheme[];
  readonly trust: ['server' | 'client'];
  readonly debug?: true;
  readonly until?: number;
}

function describeKeys(keys: Command, line: CommandLine): void {
  const { program, out, clock, random } = line;
  const withKeys = (work: (deps: KeyCommandDeps) => Promise<number>, seals: boolean): Promise<number> =>
    withDatabase(line, async ({ db }) => {
      const sealer = seals ? await sealerFor(db, line) : sealerOf(line);
      return work({ keys: createKeyStore({ database: db, sealer, random, clock }), clock, out });
    });
  keys
    .command('create')
    .description('make a key and show its secret, this once')
    .option(...GAME_OPTION)
    .option('--id <id>', 'id of the key (default: made)')
    .option('--scopes <list>', 'what it may do', someOf('ingest', 'read', 'replay', 'sessions'), [
      'ingest',
      'read',
    ])
    .option('--schemes <list>', 'how it may sign', someOf('v1', 'plain-timestamp', 'plain-body'), ['v1'])
    .option('--trust <who>', 'whose events it signs: server or client', trust, ['server'])
    .option('--debug', 'a 401 shows what the gateway signed; for development')
    .option('--until <instant>', 'when it ends by itself', instant)
    .action(
      program.action(({ game, id, scopes, schemes, trust: [who], debug, until }: NewKeyOptions) =>
        withKeys((deps) => {
          const chosen = {
            ...(id === undefined ? {} : { keyId: id }),
            ...(until === undefined ? {} : { notAfterMs: until }),
          };
          return createKey(
            { gameId: game, scopes, schemes, trust: who, debug: debug === true, ...chosen },
            deps,
          );
        }, true),
      ),
    );
  keys
    .command('rotate')
    .description('make a key like an old one, which stays valid for a while')
    .argument('<key>', 'id of the old key')
    .option('--overlap-hours <n>', 'how long both are valid', wholeNumber(0, OVERLAP_MAX_HOURS), 24)
    .action(
      program.action((keyId: string, { overlapHours }: { overlapHours: number }) =>
        withKeys((deps) => rotateKey({ keyId, overlapHours }, deps), true),
      ),
    );
  keys
    .command('retire')
    .description('end a key')
    .argument('<key>', 'id of the key')
    .option('--at <instant>', 'when (default: now)', instant)
    .action(
      program.action((keyId: string, { at }: { at?: number }) =>
        withKeys((deps) => retireKey({ keyId, atMs: at ?? null }, deps), false),
      ),
    );
  keys
    .command('list')
    .description('show keys, never their secrets')
    .option('--game <id>', 'of this game (default: of all)')
    .action(program.action(({ game }: { game?: string }) => withKeys((deps) => listKeys(game, deps), false)));
}

/** A list of one, so that the word is checked like every other. */
function trust(word: string): string[] {
  return someOf('server', 'client')(word);
}

function describeDefinition(definition: Command, line: CommandLine): void {
  const { program, out, clock } = line;
  const FILE = ['<file>', 'the definition (YAML)'] as const;
  const FROM = ['--from <instant>', 'from when on it is in force (default: now)', instant] as const;
  interface Options {
    readonly game: string;
    readonly from?: number;
  }
  const read = (file: string, { game, from }: Options): DefinitionCommand => ({
    gameId: game,
    source: readNamedFile(file),
    fileName: file,
    effectiveFromMs: from ?? null,
  });
  definition
    .command('plan')
    .description('show what applying a definition would change')
    .argument(...FILE)
    .option(...GAME_OPTION)
    .option(...FROM)
    .action(
      program.action((file: string, options: Options) =>
        withDatabase(line, ({ db }) =>
          planDefinition(read(file, options), { definitions: createDefinitionStore(db), clock, out }),
        ),
      ),
    );
  definition
    .command('apply')
    .description('make the next version; what runs takes it without a restart')
    .argument(...FILE)
    .option(...GAME_OPTION)
    .option(...FROM)
    .action(
      program.action((file: string, options: Options) =>
        withDatabase(line, ({ db }) => {
          const version = { ...read(file, options), by: operatorName() };
          return applyDefinition(version, { definitions: createDefinitionStore(db), clock, out });
        }),
      ),
    );
  definition
    .command('list')
    .description('show the versions, newest first')
    .option(...GAME_OPTION)
    .action(
      program.action(({ game }: { game: string }) =>
        withDatabase(line, ({ db }) =>
          listDefinitions(game, { definitions: createDefinitionStore(db), out }),
        ),
      ),
    );
}

interface FindingsOptions {
  readonly game: string;
  readonly player?: string;
  readonly metric?: string;
  readonly limit: number;
  readonly json?: true;
}

function describeFindings(command: Command, line: CommandLine): void {
  command
    .description('show what the fairness metrics found, newest first')
    .option(...GAME_OPTION)
    .option('--player <id>', 'of this player')
    .option('--metric <name>', 'of this metric')
    .option('--limit <n>', 'how many at most', wholeNumber(1, FINDINGS_MAX), 20)
    .option('--json', 'print them as JSON')
    .action(
      line.program.action(({ game, player, metric, limit, json }: FindingsOptions) =>
        withDatabase(line, ({ db }) =>
          listFindings(
            { gameId: game, playerId: player, metric, limit },
            { findings: (query) => findingsOf(db, query), isJson: json === true, out: line.out },
          ),
        ),
      ),
    );
}

function describeMaintenance(root: Command, line: CommandLine): void {
  const { program, out, clock } = line;
  root
    .command('migrate')
    .description('bring the database to the schema of this version')
    .option('--roles', 'print what an administrator runs first on a managed server, and do nothing')
    .action(
      program.action(({ roles }: { roles?: true }) =>
        roles === true
          ? printRoles(line)
          : withMigratedDatabase(line, ({ db }, applied) => seed(db, applied, line)),
      ),
    );
  root
    .command('restored')
    .description(
      'after the database was restored from a backup: let nothing be answered from what came after it',
    )
    .action(program.action(() => withDatabase(line, ({ db }) => restored(db, out))));
  root
    .command('audit')
    .description('compare every effect with the events it came from; 1 when anything differs')
    .option(...GAME_OPTION)
    .option('--json', 'print the result as JSON')
    .action(
      program.action(({ game, json }: { game: string; json?: true }) =>
        withDatabase(line, ({ db, redisUrl }) =>
          withViewCheck({ db, redisUrl }, (checkView) =>
            auditCommand({ isJson: json === true, out }, (onProgress) =>
              auditGame(game, {
                db,
                definitions: createDefinitionSource(db),
                clock,
                takes,
                rerun,
                onProgress,
                ...checkView,
              }),
            ),
          ),
        ),
      ),
    );
  describeRebuild(root.command('rebuild'), line);
}

/** Run again it does the same again, which costs a start of every process. */
async function restored(db: Database, out: Output): Promise<number> {
  const life = await beginLife(db, null);
  out.line(`The database has begun another life (${life}).`);
  out.line(
    'What Redis and running processes remember of the one before is answered to nobody any more: answers under',
  );
  out.line(
    'Idempotency-Keys are forgotten, views are built anew, and processes that run end within seconds, to be started again.',
  );
  out.line(
    'Next: with Kafka, `fairtally bus rewind --to <when the backup was made>` while the workers stand; start the',
  );
  out.line(
    'gateways and workers; let clients send again what they keep; `fairtally reconcile`, then `fairtally audit`.',
  );
  return 0;
}

async function printRoles({ out }: CommandLine): Promise<number> {
  for (const text of commandsOfAdministrator()) out.line(text);
  return 0;
}

/** What was applied, and the first game where the environment describes it. */
async function seed(db: Database, applied: readonly string[], line: CommandLine): Promise<number> {
  const { out, clock, random } = line;
  const config = line.config();
  out.line(applied.length === 0 ? 'The schema is current.' : `Applied ${applied.join(', ')}.`);
  const { hmacSecret } = config.secrets;
  const definitionFile = config.game.definitionFile ?? (hmacSecret === null ? null : SAMPLE_DEFINITION);
  if (definitionFile === null) return 0;
  const sealer = await sealerFor(db, line);
  const seeded = await ensureGame({
    games: createGameStore(db, sealer, random),
    definitions: createDefinitionStore(db),
    keys: createKeyStore({ database: db, sealer, random, clock }),
    definitionFile,
    secret: hmacSecret,
    mayReplaceSecret: config.environment !== 'production',
  });
  for (const text of describeSeed(seeded)) out.line(text);
  return 0;
}

const sealerOf = ({ config, random }: CommandLine): Sealer =>
  createSealer(parseMasterKeys(masterKeyText(config(), random)), random);

async function sealerFor(db: Database, line: CommandLine): Promise<Sealer> {
  const sealer = sealerOf(line);
  await refuseForeignMasterKey(db, sealer);
  return sealer;
}
