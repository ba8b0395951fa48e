import { FairtallyError } from '../kernel/errors.js';
import type { RoleName } from '../kernel/roles.js';
import { OPTIONS, type BusName, type Option } from './config-options.js';
import type { TrustProxy } from './config-values.js';

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
  readonly admin: {
    readonly port: number;
    /** Base URL of a gateway. */
    readonly gatewayUrl: string;
    /** An origin; null: whatever host a browser asks. */
    readonly origin: string | null;
    /** null: local users alone. */
    readonly oidc: {
      readonly issuer: string;
      readonly audience: string;
      readonly clientSecret: string | null;
    } | null;
  };
  readonly limits: {
    /** Per signing key; null: no limit. */
    readonly eventsPerSecond: number | null;
  };
  readonly overload: OverloadSettings;
  readonly storage: {
    readonly dataDir: string;
    /** null: the embedded one. */
    readonly databaseUrl: string | null;
    readonly redisUrl: string | null;
  };
  readonly bus: BusSettings;
  readonly roles: readonly RoleName[];
  /** How often a sample of boards and players is compared and repaired; null: never. */
  readonly healSeconds: number | null;
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
  readonly tracing: {
    /** null: no traces are made. */
    readonly otlpEndpoint: string | null;
    /** null: the name of the process. */
    readonly serviceName: string | null;
  };
  readonly log: { readonly level: 'debug' | 'info' | 'warn' | 'error' | 'silent' };
  /** Folders in which programs are looked for, as the PATH has them. */
  readonly path: string;
}

/** From where on a gateway takes no new events for a while. null: never for that. */
export interface OverloadSettings {
  readonly workMax: number;
  readonly loopDelayMaxMs: number | null;
  readonly publishWaitMaxMs: number | null;
  readonly unappliedMaxSeconds: number | null;
  readonly diskFreeMinMb: number | null;
  /** null: no disk is watched. */
  readonly diskFolder: string | null;
}

/** Which bus, and how to reach it. Settings of other buses are there and not used. */
export interface BusSettings {
  readonly driver: BusName;
  /** Topic, or prefix of queues. */
  readonly name: string;
  /** null: a worker never ends for lack of progress. */
  readonly stuckSeconds: number | null;
  readonly kafka: {
    readonly brokers: readonly string[];
    readonly isTls: boolean;
    readonly sasl: {
      readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
      readonly username: string;
      readonly password: string;
    } | null;
    readonly partitions: number;
    readonly replication: number;
  };
  readonly sqs: {
    /** null: the one of AWS in its region. */
    readonly endpoint: string | null;
  };
  readonly servicebus: {
    /** One of the two when this is the bus. */
    readonly connectionString: string | null;
    readonly namespace: string | null;
  };
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

type Refusal = [option: keyof typeof OPTIONS, isBroken: boolean, expected?: string];

/** What is wrong between values that are right one by one. */
function refusals(values: Partial<Values>): ConfigProblem[] {
  const isProduction = values.environment === 'production';
  const broken: Refusal[] = [
    ['metricsPort', values.metricsPort === values.port && values.port !== undefined && values.port > 0],
    ['bus', isProduction && values.bus === 'memory', 'a bus that keeps events (postgres) in production'],
    ...busRefusals(values),
    ...oidcRefusals(values),
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

/** The issuer sends browsers back to a place that it was told before, so that place must be known. */
function oidcRefusals({ oidcIssuer, oidcAudience, oidcClientSecret, adminUrl }: Partial<Values>): Refusal[] {
  const isIssuer = isSet(oidcIssuer);
  return [
    ['oidcAudience', isIssuer && oidcAudience === null, 'a value with OIDC_ISSUER'],
    ['adminUrl', isIssuer && adminUrl === null, 'a value with OIDC_ISSUER'],
    ['oidcIssuer', oidcIssuer === null && (isSet(oidcAudience) || isSet(oidcClientSecret))],
  ];
}

const BROKERS: ReadonlySet<unknown> = new Set(['kafka', 'sqs', 'servicebus']);

/** A broker is for many machines, which share nothing else than the database and Redis. */
function busRefusals(values: Partial<Values>): Refusal[] {
  const { bus, kafkaSaslMechanism, kafkaUsername, kafkaPassword } = values;
  const { servicebusConnection, servicebusNamespace } = values;
  const sasl = [kafkaSaslMechanism, kafkaUsername, kafkaPassword];
  const isPartOfSasl = sasl.some(isSet) && !sasl.every(isSet);
  return [
    ['databaseUrl', BROKERS.has(bus) && values.databaseUrl === null, 'a value with this BUS'],
    ['redisUrl', BROKERS.has(bus) && values.redisUrl === null, 'a value with this BUS'],
    ['kafkaBrokers', bus === 'kafka' && values.kafkaBrokers === null],
    ['kafkaSaslMechanism', isPartOfSasl && !sasl.includes(undefined)],
    [
      'servicebusConnection',
      bus === 'servicebus' && servicebusConnection === null && servicebusNamespace === null,
      'a value (or SERVICEBUS_NAMESPACE) with this BUS',
    ],
    ['servicebusNamespace', isSet(servicebusConnection) && isSet(servicebusNamespace)],
  ];
}

const isSet = (value: string | null | undefined): boolean => value !== null && value !== undefined;

function grouped(values: Values): Config {
  const { host, metricsPort, trustProxy, corsOrigins, signedPathPrefix } = values;
  const { dataDir, databaseUrl, redisUrl, masterKey, masterKeyFile, hmacSecret } = values;
  const { workMax, loopDelayMaxMs, publishWaitMaxMs, unappliedMaxSeconds, diskFreeMinMb, diskFolder } =
    values;
  return deepFreeze({
    environment: values.environment,
    http: { host, port: values.port, metricsPort, trustProxy, corsOrigins, signedPathPrefix },
    admin: adminSettings(values),
    limits: { eventsPerSecond: values.eventsPerSecond },
    overload: {
      ...{ workMax, loopDelayMaxMs, publishWaitMaxMs, unappliedMaxSeconds, diskFreeMinMb, diskFolder },
    },
    storage: { dataDir, databaseUrl, redisUrl },
    bus: busSettings(values),
    roles: values.roles,
    healSeconds: values.healSeconds,
    secrets: { masterKey, masterKeyFile, hmacSecret },
    game: { definitionFile: values.definitionFile, sampleEvents: values.sampleEvents },
    tracing: { otlpEndpoint: values.otlpEndpoint, serviceName: values.otelServiceName },
    log: { level: values.logLevel },
    path: values.path,
  });
}

function adminSettings({
  adminPort,
  adminUrl,
  host,
  port: httpPort,
  gatewayUrl,
  oidcIssuer,
  oidcAudience,
  oidcClientSecret,
}: Values): Config['admin'] {
  const isOidc = oidcIssuer !== null && oidcAudience !== null;
  return {
    port: adminPort,
    gatewayUrl: gatewayUrl ?? `http://${host.includes(':') ? `[${host}]` : host}:${String(httpPort)}`,
    origin: adminUrl === null ? null : new URL(adminUrl).origin,
    oidc: isOidc ? { issuer: oidcIssuer, audience: oidcAudience, clientSecret: oidcClientSecret } : null,
  };
}

function busSettings(values: Values): BusSettings {
  const { kafkaSaslMechanism: mechanism, kafkaUsername: username, kafkaPassword: password } = values;
  return {
    driver: values.bus,
    name: values.busName,
    stuckSeconds: values.busStuckSeconds,
    kafka: {
      brokers: values.kafkaBrokers ?? [],
      isTls: values.kafkaTls,
      sasl:
        mechanism === null || username === null || password === null
          ? null
          : { mechanism, username, password },
      partitions: values.kafkaPartitions,
      replication: values.kafkaReplication,
    },
    sqs: { endpoint: values.sqsEndpoint },
    servicebus: {
      connectionString: values.servicebusConnection,
      namespace: values.servicebusNamespace,
    },
  };
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
 * @param changes variables that have another value than the environment says
 * @throws ConfigError
 */
export function readConfig(changes: Readonly<Record<string, string>> = {}): Config {
  const result = parseConfig({ ...process.env, ...changes });
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
