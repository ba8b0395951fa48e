import { resolve } from 'node:path';
import { FairtallyError } from '../kernel/errors.js';
import type { RoleName } from '../kernel/roles.js';
import {
  hostName,
  logLevel,
  masterKeys,
  networkList,
  oneOf,
  onOff,
  optional,
  originList,
  pathPrefix,
  port,
  ratePerSecond,
  redisAddress,
  roleList,
  urlOf,
  type TrustProxy,
} from './config-values.js';

/** One environment variable. Unset and empty are the same and give the fallback; `parse` answers undefined to a bad value. */
interface Option<T> {
  readonly env: string;
  /** As it would be typed; '' means unset. */
  readonly fallback: string;
  /** Ends the sentence "NAME: expected ...". */
  readonly expected: string;
  readonly sentence: string;
  readonly parse: (text: string) => T | undefined;
}

/** The drivers that BUS may name. A new bus is one more name here and one more case in each compose.ts. */
export const BUS_NAMES = ['postgres', 'memory'] as const;
export type BusName = (typeof BUS_NAMES)[number];

const anyText = (text: string): string => text;

/** Every option there is, in the order of .env.example, which is generated from this table. */
const OPTIONS = {
  environment: {
    env: 'NODE_ENV',
    fallback: 'development',
    expected: 'development, test or production',
    sentence:
      'production refuses what only helps development: known secrets, the memory bus, CORS for everybody.',
    parse: oneOf('development', 'test', 'production'),
  },
  host: {
    env: 'HOST',
    fallback: '127.0.0.1',
    expected: 'an IP address or a host name',
    sentence: 'Address that the HTTP and metrics ports listen on; container images set 0.0.0.0.',
    parse: hostName,
  },
  port: {
    env: 'PORT',
    fallback: '8080',
    expected: 'a port number, 0 to 65535 (0: any free one)',
    sentence: 'Port of the HTTP API.',
    parse: port,
  },
  metricsPort: {
    env: 'METRICS_PORT',
    fallback: '9464',
    expected: 'a port number, 0 to 65535 (0: any free one), other than PORT',
    sentence:
      'Port of /metrics, apart from the API so that it need not be public; in the all-in-one the worker has the next one.',
    parse: port,
  },
  trustProxy: {
    env: 'TRUST_PROXY',
    fallback: '',
    expected:
      'the number of proxies in front (0 to 32) or a comma-separated list of their CIDRs; never "true"',
    sentence: 'Which X-Forwarded-For entries are believed; unset: none.',
    parse: networkList,
  },
  corsOrigins: {
    env: 'CORS_ORIGINS',
    fallback: '',
    expected: 'a comma-separated list of origins such as https://game.example; * outside production only',
    sentence: 'Web origins that may call the signed routes from a browser; public boards are open to all.',
    parse: originList,
  },
  signedPathPrefix: {
    env: 'SIGNED_PATH_PREFIX',
    fallback: '',
    expected: 'a path that begins with / and does not end with it',
    sentence: 'A fixed prefix that a proxy strips: it is put back before a signature is verified.',
    parse: pathPrefix,
  },
  eventsPerSecond: {
    env: 'RATE_LIMIT',
    fallback: '20000',
    expected: 'a whole number of events, 1 to 10000000, or off',
    sentence: 'Events per second that one signing key may send; off: no limit.',
    parse: ratePerSecond,
  },
  dataDir: {
    env: 'DATA_DIR',
    fallback: './data',
    expected: 'a folder',
    sentence:
      'Folder of the embedded PostgreSQL, of generated secrets and of the lock that keeps a second process out.',
    parse: (text) => resolve(text),
  },
  databaseUrl: {
    env: 'DATABASE_URL',
    fallback: '',
    expected: 'a postgres:// or postgresql:// URL',
    sentence: 'PostgreSQL 14 or newer to use; unset: an embedded one below DATA_DIR.',
    parse: optional(urlOf('postgres', 'postgresql')),
  },
  redisUrl: {
    env: 'REDIS_URL',
    fallback: '',
    expected: 'a redis:// or rediss:// URL, or the absolute path of a unix socket',
    sentence:
      'Redis to use; unset: a redis-server found on the PATH, else none, and boards are read from PostgreSQL.',
    parse: optional(redisAddress),
  },
  bus: {
    env: 'BUS',
    fallback: 'postgres',
    expected: BUS_NAMES.join(' or '),
    sentence: 'What carries events to the roles; memory keeps nothing and refuses production.',
    parse: oneOf(...BUS_NAMES),
  },
  roles: {
    env: 'WORKER_ROLES',
    fallback: 'all',
    expected: 'all, or a comma-separated list of archive, progression, leaderboard, fairness',
    sentence: 'Roles that this worker runs.',
    parse: roleList,
  },
  masterKey: {
    env: 'MASTER_KEY',
    fallback: '',
    expected:
      'id:base64 of 32 bytes, several separated by commas (the first encrypts), and no MASTER_KEY_FILE beside it',
    sentence: 'Encrypts secrets at rest; needed with DATABASE_URL, else made once below DATA_DIR.',
    parse: optional(masterKeys),
  },
  masterKeyFile: {
    env: 'MASTER_KEY_FILE',
    fallback: '',
    expected: 'the path of a file',
    sentence: 'A file that holds what MASTER_KEY would.',
    parse: optional((text) => resolve(text)),
  },
  hmacSecret: {
    env: 'HMAC_SECRET',
    fallback: '',
    expected: 'at least 32 characters without white space, and in production no published or guessable one',
    sentence: 'First secret of the signing key demo of the game demo; unset: made once below DATA_DIR.',
    parse: optional((text) => (/^[^\s]{32,512}$/u.test(text) ? text : undefined)),
  },
  definitionFile: {
    env: 'GAME_DEFINITION',
    fallback: '',
    expected: 'the path of a file',
    sentence: 'Game definition (YAML) applied at first start; unset: the one of the sample game.',
    parse: optional((text) => resolve(text)),
  },
  sampleEvents: {
    env: 'SAMPLE_EVENTS',
    fallback: '',
    expected: 'on or off',
    sentence:
      'Whether the all-in-one feeds the sample season once, through its own HTTP door; unset: on with the embedded PostgreSQL, off with DATABASE_URL.',
    parse: optional(onOff),
  },
  logLevel: {
    env: 'LOG_LEVEL',
    fallback: 'info',
    expected: 'debug, info, warn, error or silent',
    sentence: 'The least level of log lines that are written.',
    parse: logLevel,
  },
  path: {
    env: 'PATH',
    fallback: '',
    expected: 'a list of folders',
    sentence: 'Where redis-server and PostgreSQL are looked for.',
    parse: anyText,
  },
} satisfies Record<string, Option<unknown>>;

type Values = { [K in keyof typeof OPTIONS]: Exclude<ReturnType<(typeof OPTIONS)[K]['parse']>, undefined> };

/** All settings of a process: parsed, checked, frozen. Folders and files are absolute. */
export interface Config {
  readonly environment: 'development' | 'test' | 'production';
  readonly http: {
    readonly host: string;
    readonly port: number;
    readonly metricsPort: number;
    readonly trustProxy: TrustProxy;
    readonly corsOrigins: readonly string[];
    readonly signedPathPrefix: string;
  };
  readonly limits: {
    /** Per signing key; null: no limit. */
    readonly eventsPerSecond: number | null;
  };
  readonly storage: {
    readonly dataDir: string;
    /** null: the embedded one. */
    readonly databaseUrl: string | null;
    readonly redisUrl: string | null;
  };
  readonly bus: BusName;
  readonly roles: readonly RoleName[];
  readonly secrets: {
    /** `id:base64`, several separated by commas. */
    readonly masterKey: string | null;
    readonly masterKeyFile: string | null;
    readonly hmacSecret: string | null;
  };
  readonly game: {
    readonly definitionFile: string | null;
    /** null: with the embedded database only. */
    readonly sampleEvents: boolean | null;
  };
  readonly log: { readonly level: 'debug' | 'info' | 'warn' | 'error' | 'silent' };
  /** Folders in which programs are looked for, as the PATH has them. */
  readonly path: string;
}

/** A variable that stops the start. Its value is never told: it may be a secret. */
export interface ConfigProblem {
  readonly variable: string;
  readonly expected: string;
}

export type ConfigResult =
  | { readonly ok: true; readonly config: Config }
  | { readonly ok: false; readonly problems: readonly ConfigProblem[] };

/** Reads every option out of an environment; pure but for the working directory that relative paths begin at. All problems at once. */
export function parseConfig(env: Readonly<Record<string, string | undefined>>): ConfigResult {
  const problems: ConfigProblem[] = [];
  const parsed = Object.entries(OPTIONS).map(([name, option]: [string, Option<unknown>]) => {
    const text = env[option.env] ?? '';
    const value = option.parse(text === '' ? option.fallback : text);
    if (value === undefined) problems.push({ variable: option.env, expected: option.expected });
    return [name, value];
  });
  // What is undefined has a problem, and then the values are only looked at by rules that do not read it.
  const values = Object.fromEntries(parsed) as Values;
  problems.push(...refusals(values));
  return problems.length > 0 ? { ok: false, problems } : { ok: true, config: grouped(values) };
}

/** Secrets that are printed in documents or tests of this project: anybody can sign with them. */
const PUBLISHED_SECRETS = new Set(['demo-secret-0123456789abcdef0123456789']);
const DISTINCT_CHARACTERS_MIN = 10;

const isGuessable = (secret: string): boolean =>
  PUBLISHED_SECRETS.has(secret) ||
  new Set(secret).size < DISTINCT_CHARACTERS_MIN ||
  /change.?me|example|password/i.test(secret);

/** What is wrong between values that are right one by one. */
function refusals(values: Partial<Values>): ConfigProblem[] {
  const isProduction = values.environment === 'production';
  const broken: [keyof typeof OPTIONS, boolean, string?][] = [
    ['metricsPort', values.metricsPort === values.port && values.port !== undefined && values.port > 0],
    ['bus', isProduction && values.bus === 'memory', 'a bus that keeps events (postgres) in production'],
    ['hmacSecret', isProduction && isGuessable(values.hmacSecret ?? '1234567890')],
    ['corsOrigins', isProduction && values.corsOrigins?.includes('*') === true],
    ['masterKey', isSet(values.masterKey) && isSet(values.masterKeyFile)],
    [
      'masterKey',
      isSet(values.databaseUrl) && values.masterKey === null && values.masterKeyFile === null,
      'a value (or MASTER_KEY_FILE) when DATABASE_URL is set',
    ],
  ];
  return broken
    .filter(([, isBroken]) => isBroken)
    .map(([name, , expected]) => ({
      variable: OPTIONS[name].env,
      expected: expected ?? OPTIONS[name].expected,
    }));
}

const isSet = (value: string | null | undefined): boolean => value !== null && value !== undefined;

function grouped(values: Values): Config {
  const { host, metricsPort, trustProxy, corsOrigins, signedPathPrefix } = values;
  const { dataDir, databaseUrl, redisUrl, masterKey, masterKeyFile, hmacSecret } = values;
  return deepFreeze({
    environment: values.environment,
    http: { host, port: values.port, metricsPort, trustProxy, corsOrigins, signedPathPrefix },
    limits: { eventsPerSecond: values.eventsPerSecond },
    storage: { dataDir, databaseUrl, redisUrl },
    bus: values.bus,
    roles: values.roles,
    secrets: { masterKey, masterKeyFile, hmacSecret },
    game: { definitionFile: values.definitionFile, sampleEvents: values.sampleEvents },
    log: { level: values.logLevel },
    path: values.path,
  });
}

function deepFreeze<T extends object>(value: T): T {
  for (const inner of Object.values(value))
    if (typeof inner === 'object' && inner !== null) deepFreeze(inner as object);
  return Object.freeze(value);
}

/** The process cannot start: its environment is wrong. The message names every variable and no value. */
export class ConfigError extends FairtallyError {
  override readonly name = 'ConfigError';
  constructor(readonly problems: readonly ConfigProblem[]) {
    const lines = problems.map(({ variable, expected }) => `  ${variable}: expected ${expected}`);
    super('bad_configuration', ['the configuration is wrong:', ...lines].join('\n'));
  }
}

/**
 * The configuration of this process: the one place that reads its environment.
 *
 * @throws ConfigError
 */
export function readConfig(): Config {
  const result = parseConfig(process.env);
  if (!result.ok) throw new ConfigError(result.problems);
  return result.config;
}

/** Whether somebody chose a value, rather than leaving an option at its default. */
export const isChosen = (option: keyof typeof OPTIONS): boolean =>
  (process.env[OPTIONS[option].env] ?? '') !== '';

/** The environment of a child process: ours with some variables changed. */
export const inheritedEnvironment = (
  changes: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> => ({
  ...(process.env as Record<string, string>),
  ...changes,
});

const NOT_OURS = new Set(['PATH']);
const WIDTH = 110;

/** The text of .env.example: every option with its sentence, what it takes and its default. */
export function envExample(): string {
  const head = [
    '# Every option of Fairtally with its default. Copy to .env and take the # away from what you change.',
    '# Generated from pkg/runtime/config.ts by `npm run gen:env`.',
  ];
  const entries = Object.values(OPTIONS)
    .filter((option: Option<unknown>) => !NOT_OURS.has(option.env))
    .flatMap(({ env, fallback, sentence, expected }) => [
      '',
      ...wrapped(sentence),
      ...wrapped(`Takes ${expected}.`),
      `#${env}=${fallback}`,
    ]);
  return [...head, ...entries, ''].join('\n');
}

function wrapped(sentence: string): string[] {
  const lines: string[] = [];
  let line = '#';
  for (const word of sentence.split(' ')) {
    if (line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = '#';
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}
