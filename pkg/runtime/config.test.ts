import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { ConfigError, envExample, parseConfig, type Config } from './config.js';

const KEY = `m1:${Buffer.alloc(32, 7).toString('base64')}`;
const SECRET = 'Qm9hcmRzLWFuZC1ib3NzZXM_0987654321';

function good(env: Record<string, string>): Config {
  const result = parseConfig(env);
  if (!result.ok) throw new ConfigError(result.problems);
  return result.config;
}

const badVariables = (env: Record<string, string>): string[] => {
  const result = parseConfig(env);
  return result.ok ? [] : result.problems.map((problem) => problem.variable);
};

const SHARED = {
  DATABASE_URL: 'postgres://u:p@db/fairtally',
  REDIS_URL: 'redis://cache',
  MASTER_KEY: `k:${Buffer.alloc(32, 7).toString('base64')}`,
};

const OIDC = { OIDC_ISSUER: 'https://id.example', OIDC_AUDIENCE: 'a', ADMIN_URL: 'https://admin.example' };

test('with nothing set everything has a default', () => {
  const config = good({});
  expect(config.http).toMatchObject({
    host: '127.0.0.1',
    port: 8080,
    metricsPort: 9464,
    trustProxy: { kind: 'none' },
  });
  expect(config.storage).toMatchObject({ databaseUrl: null, redisUrl: null });
  expect(config.storage.dataDir).toBe(`${process.cwd()}/data`);
  expect(config).toMatchObject({
    bus: { driver: 'postgres', name: 'game-events', stuckSeconds: 120, kafka: { brokers: [], sasl: null } },
    limits: { eventsPerSecond: 20_000 },
    environment: 'development',
  });
  expect(config.roles).toEqual(['archive', 'progression', 'leaderboard', 'fairness']);
  expect(config.game).toEqual({ definitionFile: null, sampleEvents: null });
});

test('a broker is read with what reaches it', () => {
  const { bus } = good({
    ...SHARED,
    BUS: 'kafka',
    BUS_NAME: 'studio',
    BUS_STUCK_SECONDS: 'off',
    KAFKA_BROKERS: 'kafka-1:9092, [::1]:9093',
    KAFKA_TLS: 'on',
    KAFKA_SASL_MECHANISM: 'scram-sha-512',
    KAFKA_USERNAME: 'u',
    KAFKA_PASSWORD: 'p',
  });
  expect(bus).toMatchObject({ driver: 'kafka', name: 'studio', stuckSeconds: null });
  expect(bus.kafka).toEqual({
    brokers: ['kafka-1:9092', '[::1]:9093'],
    isTls: true,
    sasl: { mechanism: 'scram-sha-512', username: 'u', password: 'p' },
    partitions: 32,
    replication: 3,
  });
});

test('an empty variable is an unset one', () => {
  expect(good({ PORT: '', DATABASE_URL: '', TRUST_PROXY: '' })).toEqual(good({}));
});

test('good values are read into their groups', () => {
  const config = good({
    NODE_ENV: 'production',
    TRUST_PROXY: '10.0.0.0/8, ::1',
    WORKER_ROLES: 'fairness,archive',
    RATE_LIMIT: 'off',
    DATABASE_URL: 'postgres://u:p@/db?host=/run/pg',
    MASTER_KEY: `${KEY},old:${Buffer.alloc(32, 8).toString('base64')}`,
    HMAC_SECRET: SECRET,
    CORS_ORIGINS: 'https://game.example,http://localhost:3000',
    SIGNED_PATH_PREFIX: '/telemetry',
  });
  expect(config.http.trustProxy).toEqual({ kind: 'networks', networks: ['10.0.0.0/8', '::1'] });
  expect(config.roles).toEqual(['archive', 'fairness']);
  expect(config.limits.eventsPerSecond).toBeNull();
  expect(config.http.corsOrigins).toEqual(['https://game.example', 'http://localhost:3000']);
  expect(good({ REDIS_URL: '/run/redis.sock' }).storage.redisUrl).toBe('/run/redis.sock');
  expect(good({ TRUST_PROXY: '2' }).http.trustProxy).toEqual({ kind: 'hops', hops: 2 });
});

test('the configuration cannot be changed', () => {
  const config = good({});
  expect(() => Object.assign(config, { bus: 'memory' })).toThrow(TypeError);
  expect(() => Object.assign(config.http, { port: 1 })).toThrow(TypeError);
  expect(() => Object.assign(config.roles, ['none'])).toThrow(TypeError);
});

describe('row 78: a mistake in the environment refuses to start and names the variable, not its value', () => {
  test.each<[string, Record<string, string>, string]>([
    ['a port that is a word', { PORT: 'eighty-eighty' }, 'PORT'],
    ['a port with something behind it', { PORT: '8080junk' }, 'PORT'],
    ['a port beyond the range', { PORT: '65536' }, 'PORT'],
    ['an issuer by plain HTTP elsewhere', { ...OIDC, OIDC_ISSUER: 'http://id.example' }, 'OIDC_ISSUER'],
    ['an issuer with a user in its URL', { ...OIDC, OIDC_ISSUER: 'https://a:b@id.example' }, 'OIDC_ISSUER'],
    [
      'an issuer without an audience',
      { OIDC_ISSUER: OIDC.OIDC_ISSUER, ADMIN_URL: OIDC.ADMIN_URL },
      'OIDC_AUDIENCE',
    ],
    ['an issuer that knows no way back', { OIDC_ISSUER: OIDC.OIDC_ISSUER, OIDC_AUDIENCE: 'a' }, 'ADMIN_URL'],
    ['an audience without an issuer', { OIDC_AUDIENCE: 'a' }, 'OIDC_ISSUER'],
    ['a dashboard by plain HTTP elsewhere', { ADMIN_URL: 'http://admin.example' }, 'ADMIN_URL'],
    ['a metrics port that is the port', { PORT: '9000', METRICS_PORT: '9000' }, 'METRICS_PORT'],
    ['a host with a scheme', { HOST: 'http://0.0.0.0' }, 'HOST'],
    ['a limit that is a word', { RATE_LIMIT: 'abc-limit' }, 'RATE_LIMIT'],
    ['a limit of nothing', { RATE_LIMIT: '0' }, 'RATE_LIMIT'],
    ['a limit with an exponent', { RATE_LIMIT: '1e99' }, 'RATE_LIMIT'],
    ['every proxy trusted', { TRUST_PROXY: 'true' }, 'TRUST_PROXY'],
    ['every address trusted', { TRUST_PROXY: '0.0.0.0/0' }, 'TRUST_PROXY'],
    ['a network that is none', { TRUST_PROXY: '10.0.0.0/33' }, 'TRUST_PROXY'],
    ['a bus that does not exist', { BUS: 'carrier-pigeon' }, 'BUS'],
    [
      'a broker without the URLs that many machines share',
      { BUS: 'sqs', REDIS_URL: SHARED.REDIS_URL },
      'DATABASE_URL',
    ],
    ['Kafka without brokers', { ...SHARED, BUS: 'kafka' }, 'KAFKA_BROKERS'],
    ['a broker without a port', { ...SHARED, BUS: 'kafka', KAFKA_BROKERS: 'kafka-1' }, 'KAFKA_BROKERS'],
    ['half of a sign-in to Kafka', { KAFKA_USERNAME: 'u', KAFKA_PASSWORD: 'p' }, 'KAFKA_SASL_MECHANISM'],
    ['Service Bus without a namespace', { ...SHARED, BUS: 'servicebus' }, 'SERVICEBUS_CONNECTION_STRING'],
    ['a name that no broker takes', { BUS_NAME: 'game events' }, 'BUS_NAME'],
    ['a watchdog in a hurry', { BUS_STUCK_SECONDS: '9' }, 'BUS_STUCK_SECONDS'],
    ['a bus that forgets, in production', { BUS: 'memory', NODE_ENV: 'production' }, 'BUS'],
    ['a role that does not exist', { WORKER_ROLES: 'archive,leaderbored' }, 'WORKER_ROLES'],
    ['an empty role', { WORKER_ROLES: 'archive,,fairness' }, 'WORKER_ROLES'],
    ['a short secret', { HMAC_SECRET: 'only-31-characters-long-secret-' }, 'HMAC_SECRET'],
    ['a secret with white space', { HMAC_SECRET: `${SECRET} ${SECRET}` }, 'HMAC_SECRET'],
    [
      'the secret of the documents, in production',
      { HMAC_SECRET: 'demo-secret-0123456789abcdef0123456789', NODE_ENV: 'production' },
      'HMAC_SECRET',
    ],
    [
      'one character many times, in production',
      { HMAC_SECRET: 'a'.repeat(40), NODE_ENV: 'production' },
      'HMAC_SECRET',
    ],
    [
      'a database of another kind',
      { DATABASE_URL: 'mysql://root:hunter2@db/x', MASTER_KEY: KEY },
      'DATABASE_URL',
    ],
    ['a database without a master key', { DATABASE_URL: 'postgres://u:hunter2@db/x' }, 'MASTER_KEY'],
    ['two sources of the master key', { MASTER_KEY: KEY, MASTER_KEY_FILE: '/run/secrets/key' }, 'MASTER_KEY'],
    ['a master key of 31 bytes', { MASTER_KEY: `m1:${Buffer.alloc(31).toString('base64')}` }, 'MASTER_KEY'],
    ['a master key without an id', { MASTER_KEY: Buffer.alloc(32).toString('base64') }, 'MASTER_KEY'],
    ['two master keys of one id', { MASTER_KEY: `${KEY},${KEY}` }, 'MASTER_KEY'],
    ['a Redis of another kind', { REDIS_URL: 'http://localhost:6379' }, 'REDIS_URL'],
    ['an origin with a path', { CORS_ORIGINS: 'https://game.example/play' }, 'CORS_ORIGINS'],
    ['every origin, in production', { CORS_ORIGINS: '*', NODE_ENV: 'production' }, 'CORS_ORIGINS'],
    ['a prefix that ends with a slash', { SIGNED_PATH_PREFIX: '/telemetry/' }, 'SIGNED_PATH_PREFIX'],
    ['a level that does not exist', { LOG_LEVEL: 'chatty' }, 'LOG_LEVEL'],
    ['a switch that is neither on nor off', { SAMPLE_EVENTS: 'perhaps' }, 'SAMPLE_EVENTS'],
    ['an environment that does not exist', { NODE_ENV: 'staging-eu' }, 'NODE_ENV'],
  ])('%s', (_title, env, variable) => {
    const result = parseConfig(env);
    if (result.ok) throw new Error('it was accepted');
    expect(result.problems.map((problem) => problem.variable)).toEqual([variable]);
    const { message } = new ConfigError(result.problems);
    expect(message).toContain(`${variable}: expected `);
    const value = env[variable];
    if (value !== undefined && !['true', 'memory', '*', '9000', '0'].includes(value))
      expect(message).not.toContain(value);
    expect(message).not.toContain('hunter2');
  });
});

test('all mistakes are told at once', () => {
  expect(badVariables({ PORT: 'x', BUS: 'y', WORKER_ROLES: 'z', DATABASE_URL: 'postgres://db/x' })).toEqual([
    'PORT',
    'BUS',
    'WORKER_ROLES',
    'MASTER_KEY',
  ]);
});

test('.env.example says what the table says', () => {
  expect(readFileSync(new URL('../../.env.example', import.meta.url), 'utf8')).toBe(envExample());
});
