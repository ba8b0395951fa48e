import { resolve } from 'node:path';
import {
  brokerList,
  busName,
  hostName,
  logLevel,
  masterKeys,
  networkList,
  oneOf,
  onOff,
  optional,
  orOff,
  originList,
  pathPrefix,
  port,
  ratePerSecond,
  redisAddress,
  roleList,
  securePlace,
  secretText,
  urlOf,
  wholeNumberIn,
} from './config-values.js';

/** One environment variable. Unset and empty are the same and give the fallback; `parse` answers undefined to a bad value. */
export interface Option<T> {
  readonly env: string;
  /** As it would be typed; '' means unset. */
  readonly fallback: string;
  /** Ends the sentence "NAME: expected ...". */
  readonly expected: string;
  readonly sentence: string;
  readonly parse: (text: string) => T | undefined;
}

/** The drivers that BUS may name. A new bus is one more name here and one more case in cmd/bus.ts. */
export const BUS_NAMES = ['postgres', 'memory', 'kafka', 'sqs', 'servicebus'] as const;
export type BusName = (typeof BUS_NAMES)[number];

const anyText = (text: string): string => text;

/** Every option there is, in the order of .env.example, which is generated from this table. */
export const OPTIONS = {
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
      'Port of /metrics, apart from the API so that it need not be public; in the all-in-one the worker has the next one and the admin service the one after.',
    parse: port,
  },
  adminPort: {
    env: 'ADMIN_PORT',
    fallback: '8090',
    expected: 'a port number, 0 to 65535 (0: any free one)',
    sentence: 'Port of the admin API and of the dashboard.',
    parse: port,
  },
  adminUrl: {
    env: 'ADMIN_URL',
    fallback: '',
    expected: 'an origin such as https://admin.game.example; http:// on this machine alone',
    sentence:
      'Where people reach the dashboard: decides how its cookies are kept and where OIDC_ISSUER sends them back to; unset: the host that a browser asks.',
    parse: optional(securePlace),
  },
  gatewayUrl: {
    env: 'GATEWAY_URL',
    fallback: '',
    expected: 'a URL such as http://gateway:8080',
    sentence: 'Where the admin service reaches a gateway, to send replays; unset: PORT on this machine.',
    parse: optional(urlOf('http', 'https')),
  },
  oidcIssuer: {
    env: 'OIDC_ISSUER',
    fallback: '',
    expected: 'an https:// URL (http:// on this machine alone), with OIDC_AUDIENCE and ADMIN_URL beside it',
    sentence:
      'An OpenID Connect issuer whose people may sign in to the dashboard (docs/admin.md); unset: local users alone.',
    parse: optional(securePlace),
  },
  oidcAudience: {
    env: 'OIDC_AUDIENCE',
    fallback: '',
    expected: 'a text without white space, with OIDC_ISSUER',
    sentence: 'Client id of the dashboard at OIDC_ISSUER: the audience of the tokens that are believed.',
    parse: optional(secretText),
  },
  oidcClientSecret: {
    env: 'OIDC_CLIENT_SECRET',
    fallback: '',
    expected: 'a text without white space',
    sentence: 'Secret of that client; unset: a public client, which PKCE protects.',
    parse: optional(secretText),
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
  workMax: {
    env: 'OVERLOAD_WORK',
    fallback: '5000',
    expected: 'a whole number of events, 1 to 1000000',
    sentence:
      'Events that a gateway has in hand at once, every request counting as eight more; what comes beyond it is answered 503 before it is read.',
    parse: wholeNumberIn(1, 1_000_000),
  },
  loopDelayMaxMs: {
    env: 'OVERLOAD_LOOP_DELAY_MS',
    fallback: '250',
    expected: 'a whole number of milliseconds, 20 to 10000, or off',
    sentence:
      'How late the event loop of a gateway may be, by the median of half a second, before events are answered 503, unless it has hardly any in hand.',
    parse: orOff(wholeNumberIn(20, 10_000)),
  },
  publishWaitMaxMs: {
    env: 'OVERLOAD_PUBLISH_MS',
    fallback: '400',
    expected: 'a whole number of milliseconds, 10 to 10000, or off',
    sentence:
      'How long the bus may keep the oldest request waiting before further events are answered 503, unless a gateway has hardly any in hand.',
    parse: orOff(wholeNumberIn(10, 10_000)),
  },
  unappliedMaxSeconds: {
    env: 'OVERLOAD_LAG_SECONDS',
    fallback: '3600',
    expected: 'a whole number of seconds, 10 to 2592000, or off',
    sentence:
      'How old the oldest event that some role has not applied may be before further events are answered 503.',
    parse: orOff(wholeNumberIn(10, 2_592_000)),
  },
  diskFreeMinMb: {
    env: 'DISK_FREE_MB',
    fallback: '256',
    expected: 'a whole number of MiB, 1 to 1000000000, or off',
    sentence: 'Free space in DISK_FOLDER below which events are answered 507; reads go on.',
    parse: orOff(wholeNumberIn(1, 1_000_000_000)),
  },
  diskFolder: {
    env: 'DISK_FOLDER',
    fallback: '',
    expected: 'a folder',
    sentence:
      'A folder on the disk of PostgreSQL, where that is on this machine; unset: that of the embedded one, none with DATABASE_URL.',
    parse: optional((text) => resolve(text)),
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
    expected: BUS_NAMES.join(', '),
    sentence:
      'What carries events to the roles; memory keeps nothing and refuses production. kafka, sqs and servicebus need DATABASE_URL and REDIS_URL (docs/buses.md).',
    parse: oneOf(...BUS_NAMES),
  },
  busName: {
    env: 'BUS_NAME',
    fallback: 'game-events',
    expected: 'letters, digits, hyphens and underscores, at most 60',
    sentence:
      'Topic of Kafka and Service Bus; the SQS queues are named <BUS_NAME>-<role>.fifo. Not used by postgres and memory.',
    parse: busName,
  },
  busStuckSeconds: {
    env: 'BUS_STUCK_SECONDS',
    fallback: '120',
    expected: 'a whole number of seconds, 10 to 86400, or off',
    sentence:
      'How long events may wait for a role without any progress before a worker says it is not ready and then ends, to be started again.',
    parse: orOff(wholeNumberIn(10, 86_400)),
  },
  kafkaBrokers: {
    env: 'KAFKA_BROKERS',
    fallback: '',
    expected: 'a comma-separated list of host:port',
    sentence: 'Brokers to begin with; needed with BUS=kafka.',
    parse: optional(brokerList),
  },
  kafkaTls: {
    env: 'KAFKA_TLS',
    fallback: 'off',
    expected: 'on or off',
    sentence: 'Whether brokers are spoken to over TLS, with the certificate authorities of Node.js.',
    parse: onOff,
  },
  kafkaSaslMechanism: {
    env: 'KAFKA_SASL_MECHANISM',
    fallback: '',
    expected: 'plain, scram-sha-256 or scram-sha-512, with KAFKA_USERNAME and KAFKA_PASSWORD beside it',
    sentence: 'How the brokers are told who this is; unset: not at all.',
    parse: optional(oneOf('plain', 'scram-sha-256', 'scram-sha-512')),
  },
  kafkaUsername: {
    env: 'KAFKA_USERNAME',
    fallback: '',
    expected: 'a text without white space',
    sentence: 'User of KAFKA_SASL_MECHANISM.',
    parse: optional(secretText),
  },
  kafkaPassword: {
    env: 'KAFKA_PASSWORD',
    fallback: '',
    expected: 'a text without white space',
    sentence: 'Password of KAFKA_SASL_MECHANISM.',
    parse: optional(secretText),
  },
  kafkaPartitions: {
    env: 'KAFKA_PARTITIONS',
    fallback: '32',
    expected: 'a whole number, 1 to 1000',
    sentence:
      'Partitions of a topic that `fairtally bus create` makes: at most so many workers share a role.',
    parse: wholeNumberIn(1, 1_000),
  },
  kafkaReplication: {
    env: 'KAFKA_REPLICATION',
    fallback: '3',
    expected: 'a whole number, 1 to 9',
    sentence:
      'Copies of each partition of a topic that `fairtally bus create` makes; writes need two of them, or the only one.',
    parse: wholeNumberIn(1, 9),
  },
  sqsEndpoint: {
    env: 'SQS_ENDPOINT',
    fallback: '',
    expected: 'an http:// or https:// URL',
    sentence:
      'Where SQS is, if not at AWS. Region and credentials come from where the AWS SDK looks: AWS_REGION, a profile, the role of the machine.',
    parse: optional(urlOf('http', 'https')),
  },
  servicebusConnection: {
    env: 'SERVICEBUS_CONNECTION_STRING',
    fallback: '',
    expected: 'a connection string that begins with Endpoint=sb://',
    sentence: 'The Service Bus namespace with a shared access key; or set SERVICEBUS_NAMESPACE.',
    parse: optional((text) => (/^Endpoint=sb:\/\/[^\s]+$/u.test(text) ? text : undefined)),
  },
  servicebusNamespace: {
    env: 'SERVICEBUS_NAMESPACE',
    fallback: '',
    expected:
      'a host name such as studio.servicebus.windows.net, and no SERVICEBUS_CONNECTION_STRING beside it',
    sentence:
      'The Service Bus namespace; who this is comes from where the Azure SDK looks: a managed identity, AZURE_CLIENT_ID and its fellows.',
    parse: optional(hostName),
  },
  otlpEndpoint: {
    env: 'OTEL_EXPORTER_OTLP_ENDPOINT',
    fallback: '',
    expected: 'an http:// or https:// URL',
    sentence: 'An OpenTelemetry collector (OTLP over HTTP) that traces are sent to; unset: none are made.',
    parse: optional(urlOf('http', 'https')),
  },
  otelServiceName: {
    env: 'OTEL_SERVICE_NAME',
    fallback: '',
    expected: 'a text without white space',
    sentence:
      'Name of this process in traces; unset: fairtally-gateway, fairtally-worker or fairtally-admin.',
    parse: optional(secretText),
  },
  roles: {
    env: 'WORKER_ROLES',
    fallback: 'all',
    expected: 'all, or a comma-separated list of archive, progression, leaderboard, fairness',
    sentence: 'Roles that this worker runs.',
    parse: roleList,
  },
  healSeconds: {
    env: 'HEAL_SECONDS',
    fallback: '30',
    expected: 'a whole number of seconds, 1 to 86400, or off',
    sentence:
      'How often one of the workers compares some boards and players with what they are made of, and repairs what is wrong.',
    parse: (text) => (text === 'off' ? null : wholeNumberIn(1, 86_400)(text)),
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
