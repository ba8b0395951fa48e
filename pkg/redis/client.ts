import { readFileSync } from 'node:fs';
import { Redis } from 'ioredis';
import { systemClock } from '../kernel/clock.js';
import { breakWhenSilent } from './silence.js';

export interface RedisClientOptions {
  /** `redis://`, `rediss://` or the path of a unix socket. */
  readonly url: string;
  /** Shown in CLIENT LIST. */
  readonly connectionName?: string;
  /** A command without an answer for this long fails; its effect is unknown. */
  readonly commandTimeoutMs?: number;
  /** A server that says nothing at all for this long is away, until it greets a new connection. */
  readonly patienceMs?: number;
  /** Each failed connection attempt and each broken connection is told here; the client goes on reconnecting. */
  readonly onError?: (error: Error) => void;
}

const COMMAND_TIMEOUT_MS = 2_000;
const PATIENCE_MS = 2_000;
const CONNECT_TIMEOUT_MS = 2_000;
const DISCONNECT_TIMEOUT_MS = 500;
const RECONNECT_FIRST_MS = 50;
const RECONNECT_MAX_MS = 2_000;

/**
 * A client that fails at once while the server is away, or frozen: nothing waits in a queue, nothing is sent a second time by
 * itself. Connects in the background and reconnects for as long as it lives; end it with `disconnect()`.
 */
export function createRedisClient(options: RedisClientOptions): Redis {
  const redis = new Redis(options.url, {
    connectionName: options.connectionName ?? 'fairtally',
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0, // commands in flight when the connection breaks fail then, not after the reconnect
    commandTimeout: options.commandTimeoutMs ?? COMMAND_TIMEOUT_MS,
    connectTimeout: CONNECT_TIMEOUT_MS,
    disconnectTimeout: DISCONNECT_TIMEOUT_MS,
    retryStrategy: (attempt) => Math.min(RECONNECT_MAX_MS, RECONNECT_FIRST_MS * 2 ** Math.min(attempt, 10)),
  });
  // Without a listener every failed attempt is printed by the library.
  redis.on('error', (error: Error) => options.onError?.(error));
  breakWhenSilent(redis, options.patienceMs ?? PATIENCE_MS, systemClock);
  return redis;
}

/** Resolves when the client can be used, rejects after `timeoutMs`. */
export function redisReady(redis: Redis, timeoutMs: number): Promise<void> {
  if (redis.status === 'ready') return Promise.resolve();
  return new Promise((resolve, reject) => {
    const finish = (): void => {
      clearTimeout(timer);
      resolve();
    };
    const timer = setTimeout(() => {
      redis.off('ready', finish);
      reject(new Error(`Redis was not ready within ${String(timeoutMs)} ms`));
    }, timeoutMs);
    redis.once('ready', finish);
  });
}

/** A Lua script of this folder, called with its keys and arguments. */
export type RedisScript = (keys: readonly string[], args: readonly (string | number)[]) => Promise<unknown>;

const SCRIPT_NAME = /^([a-z]+)-[a-z-]+-(\d)$/;

const textOf = (name: string): string => readFileSync(new URL(`./${name}.lua`, import.meta.url), 'utf8');

/**
 * Registers `<name>.lua` of this folder on a client. The number of keys is the last part of the name; the first part names
 * the file that stands before every script of its kind.
 */
export function redisScript(redis: Redis, name: string): RedisScript {
  const [, kind, keys] = SCRIPT_NAME.exec(name) ?? [];
  if (kind === undefined) throw new Error(`a script's name ends in its number of keys: ${name}`);
  const numberOfKeys = Number(keys);
  redis.defineCommand(name, { numberOfKeys, lua: textOf(kind) + textOf(name) });
  const command = Reflect.get(redis, name) as (...values: (string | number)[]) => Promise<unknown>;
  return (keyNames, args) => {
    if (keyNames.length !== numberOfKeys) throw new Error(`${name} takes ${String(numberOfKeys)} keys`);
    return command.call(redis, ...keyNames, ...args);
  };
}
