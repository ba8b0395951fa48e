import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { outputTo, type Output } from '../pkg/cli/output.js';
import { createProgram, wrongCommand, type Program } from '../pkg/cli/program.js';
import { createSignedClient, type SignedClient } from '../pkg/client/signed-client.js';
import { DEFAULT_KEY_ID } from '../pkg/games/seed.js';
import { systemClock, type Clock } from '../pkg/kernel/clock.js';
import { FairtallyError, OutageError } from '../pkg/kernel/errors.js';
import { systemRandom, type Random } from '../pkg/kernel/random.js';
import { isChosen, readConfig, type Config } from '../pkg/runtime/config.js';
import { createLogger } from '../pkg/runtime/log.js';
import type { Logger } from '../pkg/runtime/port.js';
import { readRunning } from '../pkg/runtime/running-file.js';
import { codeVersion } from '../pkg/runtime/version.js';
import { demoSecret } from '../pkg/runtime/secret-files.js';

/** What every command works with. */
export interface CommandLine {
  readonly program: Program;
  readonly out: Output;
  readonly clock: Clock;
  readonly random: Random;
  /** Read when first asked for: `help` needs no environment. @throws ConfigError */
  config(): Config;
  /** Warnings and errors of the parts, on standard error: standard output is the command's own. */
  logger(): Logger;
}

export function createCommandLine(name: string, description: string): CommandLine {
  let config: Config | null = null;
  const configOnce = (): Config => (config ??= readConfig());
  return {
    program: createProgram({
      name,
      description,
      version: codeVersion(),
      stderr: process.stderr,
      isDebug: () => config?.log.level === 'debug',
    }),
    out: outputTo(process.stdout),
    clock: systemClock,
    random: systemRandom,
    config: configOnce,
    logger: () => {
      const { level } = configOnce().log;
      return createLogger(level === 'info' ? 'warn' : level, process.stderr);
    },
  };
}

/** Aborts on the first SIGINT or SIGTERM; a second one ends the process as if nobody listened. */
export function interruption(): AbortSignal {
  const abort = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => abort.abort());
  return abort.signal;
}

/** Options of commands that go through the gateway's door. */
export interface GatewayOptions {
  readonly url?: string;
  readonly key: string;
  readonly secret?: string;
}

export const URL_OPTION = [
  '--url <url>',
  'base URL of the gateway (default: HOST and PORT if set, else what runs with this DATA_DIR)',
] as const;
export const KEY_OPTION = ['--key <id>', 'id of the signing key', DEFAULT_KEY_ID] as const;
export const SECRET_OPTION = [
  '--secret <secret>',
  `secret of the key (default for ${DEFAULT_KEY_ID}: HMAC_SECRET, or what was made in DATA_DIR)`,
] as const;

/** Lends a signed client for the time of a command. @throws FairtallyError `no_gateway` when it stays away, and those of `work` */
export async function withGateway(
  options: GatewayOptions,
  { config, clock, random }: CommandLine,
  connections: number,
  work: (client: SignedClient, url: string) => Promise<number>,
): Promise<number> {
  const url = options.url ?? defaultUrl(config());
  const secret = options.secret ?? defaultSecret(options.key, config(), random);
  const client = createSignedClient({ url, keyId: options.key, secret, clock, connections });
  try {
    return await work(client, url);
  } catch (error) {
    if (!(error instanceof OutageError)) throw error;
    const message = `nothing answers at ${url}: is \`make run\` running? If the gateway is elsewhere, give --url`;
    throw new FairtallyError('no_gateway', message, true, { cause: error });
  } finally {
    client.close();
  }
}

function defaultUrl({ http, storage }: Config): string {
  const isAddressChosen = http.port !== 0 && (isChosen('host') || isChosen('port'));
  const running = isAddressChosen ? null : readRunning(storage.dataDir);
  if (running !== null) return running.url;
  if (http.port === 0) {
    throw wrongCommand('PORT is 0, so nobody knows the port: give --url');
  }
  const isEverywhere = http.host === '0.0.0.0' || http.host === '::';
  const host = isEverywhere ? '127.0.0.1' : http.host.includes(':') ? `[${http.host}]` : http.host;
  return `http://${host}:${String(http.port)}`;
}

/** Never makes one: a secret that the gateway does not know would only be refused. */
function defaultSecret(keyId: string, config: Config, random: Random): string {
  if (keyId !== DEFAULT_KEY_ID) throw wrongCommand(`--key ${keyId} needs its --secret beside it`);
  const path = join(config.storage.dataDir, 'secrets', 'demo.hmac');
  if (config.secrets.hmacSecret === null && !existsSync(path)) {
    throw new FairtallyError(
      'no_secret',
      `no secret of key ${keyId} is known: give --secret, set HMAC_SECRET, or start Fairtally once with this DATA_DIR, ` +
        `which makes ${path}`,
    );
  }
  return demoSecret(config, random);
}
