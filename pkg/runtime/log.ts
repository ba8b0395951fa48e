import { pino, stdTimeFunctions, type DestinationStream } from 'pino';
import type { Logger } from './port.js';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** Field names whose values are never written, at the top of a line and up to two levels below it. */
const SECRET_FIELDS = [
  'secret',
  'secrets',
  'password',
  'authorization',
  'cookie',
  'signature',
  'token',
  'ticket',
  'masterKey',
  'hmacSecret',
  'sessionMaster',
  'privateKey',
  'databaseUrl',
  'redisUrl',
  '["x-signature"]',
  '["set-cookie"]',
  '["proxy-authorization"]',
];
const join = (prefix: string, field: string): string =>
  field.startsWith('[') ? `${prefix}${field}` : `${prefix}.${field}`;
const REDACTED_PATHS = SECRET_FIELDS.flatMap((field) => [field, join('*', field), join('*.*', field)]);

const CAUSES_MAX = 3;
const TEXT_MAX = 4_000;

/**
 * What a log line says of an error: its own words, and nothing that a library hung on it (a request body, a header, the
 * configuration of a client). Passwords inside URLs are taken out.
 */
export function describeError(error: unknown, depth: number = 0): unknown {
  if (!(error instanceof Error)) return { type: typeof error, message: cleaned(String(error)) };
  const code: unknown = 'code' in error ? error.code : undefined;
  return {
    type: error.name,
    message: cleaned(error.message),
    ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}),
    stack: cleaned(error.stack ?? ''),
    ...(error.cause !== undefined && depth < CAUSES_MAX
      ? { cause: describeError(error.cause, depth + 1) }
      : {}),
  };
}

const cleaned = (text: string): string =>
  text.slice(0, TEXT_MAX).replace(/(\w:\/\/[^\s:/@]*):[^\s@/]+@/g, '$1:[redacted]@');

/** JSON lines, one per call, with secrets redacted. Goes to standard output unless told otherwise. */
export function createLogger(level: LogLevel, destination?: DestinationStream): Logger {
  const options = {
    level,
    base: { pid: process.pid },
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { err: describeError, error: describeError },
    redact: { paths: REDACTED_PATHS, censor: '[redacted]' },
  };
  return destination === undefined ? pino(options) : pino(options, destination);
}
