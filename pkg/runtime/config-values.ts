import { isIP } from 'node:net';
import { isRoleName, ROLES, type RoleName } from '../kernel/roles.js';

/** Readers of single values. Each answers undefined to a text that it does not understand. */

/** Whose X-Forwarded-For is believed. */
export type TrustProxy =
  | { readonly kind: 'none' }
  | { readonly kind: 'hops'; readonly hops: number }
  | { readonly kind: 'networks'; readonly networks: readonly string[] };

const HOPS_MAX = 32;
const RATE_MAX = 10_000_000;
const LIST_MAX = 100;

/** Nothing for an unset option, else what `parse` says. */
export const optional =
  <T>(parse: (text: string) => T | undefined) =>
  (text: string): T | null | undefined =>
    text === '' ? null : parse(text);

/** null for `off`, else what `parse` says. */
export const orOff =
  <T>(parse: (text: string) => T | undefined) =>
  (text: string): T | null | undefined =>
    text === 'off' ? null : parse(text);

export const oneOf =
  <const Names extends readonly string[]>(...names: Names) =>
  (text: string): Names[number] | undefined =>
    names.find((name) => name === text);

export const logLevel = oneOf('debug', 'info', 'warn', 'error', 'silent');

export const onOff = (text: string): boolean | undefined =>
  text === 'on' ? true : text === 'off' ? false : undefined;

function wholeNumber(text: string, min: number, max: number): number | undefined {
  if (!/^(0|[1-9][0-9]{0,9})$/.test(text)) return undefined;
  const value = Number(text);
  return value >= min && value <= max ? value : undefined;
}

export const wholeNumberIn =
  (min: number, max: number) =>
  (text: string): number | undefined =>
    wholeNumber(text, min, max);

/** What topics of Kafka and Service Bus and queues of SQS may be called, with room for what is added to it. */
export const busName = (text: string): string | undefined =>
  /^[A-Za-z0-9][A-Za-z0-9_-]{0,59}$/.test(text) ? text : undefined;

export const secretText = (text: string): string | undefined =>
  /^[^\s\0]{1,1000}$/u.test(text) ? text : undefined;

export const port = (text: string): number | undefined => wholeNumber(text, 0, 65_535);

export const ratePerSecond = (text: string): number | null | undefined =>
  text === 'off' ? null : wholeNumber(text, 1, RATE_MAX);

export const hostName = (text: string): string | undefined =>
  isIP(text) !== 0 || /^(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(text) ? text : undefined;

/** A URL of one of the schemes. Only its beginning is checked: PostgreSQL's may lack a host, which `URL` refuses. */
export const urlOf =
  (...schemes: readonly string[]) =>
  (text: string): string | undefined =>
    schemes.some((scheme) => text.startsWith(`${scheme}://`) && text.length > scheme.length + 3) &&
    !/\s/.test(text)
      ? text
      : undefined;

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;
/** A URL that secrets may be sent to: by TLS, or to this machine. Without user, query and fragment. */
export function securePlace(text: string): string | undefined {
  if (!/^https?:\/\/[^\s?#@]+$/.test(text) || !URL.canParse(text)) return undefined;
  const { protocol, hostname } = new URL(text);
  return protocol === 'https:' || LOOPBACK.test(hostname) ? text : undefined;
}

const redisUrl = urlOf('redis', 'rediss');
/** A URL, or the path of a unix socket, as the embedded Redis has one. */
export const redisAddress = (text: string): string | undefined =>
  /^\/[^/?\0][^?\0]*$/.test(text) ? text : redisUrl(text);

export const pathPrefix = (text: string): string | undefined =>
  text === '' || /^(\/[!$-.0->@-~]+)+$/.test(text) ? text : undefined;

/** Splits at commas; undefined when an entry is empty or there are too many. */
function list(text: string): readonly string[] | undefined {
  const entries = text.split(',').map((entry) => entry.trim());
  return entries.length > LIST_MAX || entries.includes('') ? undefined : entries;
}

export function brokerList(text: string): readonly string[] | undefined {
  const brokers = list(text);
  const isBroker = (entry: string): boolean => {
    const [, host = '', portText = ''] = /^(.+):([0-9]+)$/.exec(entry) ?? [];
    return hostName(host.replace(/^\[(.*)\]$/, '$1')) !== undefined && (port(portText) ?? 0) > 0;
  };
  return brokers?.every(isBroker) === true ? brokers : undefined;
}

export function roleList(text: string): readonly RoleName[] | undefined {
  if (text === 'all') return [...ROLES];
  const names = list(text);
  if (names === undefined || !names.every(isRoleName)) return undefined;
  return ROLES.filter((role) => names.includes(role));
}

export function originList(text: string): readonly string[] | undefined {
  if (text === '') return [];
  return list(text)?.every((entry) => entry === '*' || isOrigin(entry)) === true ? list(text) : undefined;
}

function isOrigin(text: string): boolean {
  if (!/^https?:\/\//.test(text) || !URL.canParse(text)) return false;
  return new URL(text).origin === text;
}

export function networkList(text: string): TrustProxy | undefined {
  if (text === '') return { kind: 'none' };
  const hops = wholeNumber(text, 0, HOPS_MAX);
  if (hops !== undefined) return hops === 0 ? { kind: 'none' } : { kind: 'hops', hops };
  const networks = list(text);
  return networks?.every(isNetwork) === true ? { kind: 'networks', networks } : undefined;
}

/** An address or a CIDR. A prefix of 0 is everybody: then every client would choose its own address. */
function isNetwork(text: string): boolean {
  const [address = '', prefix, ...rest] = text.split('/');
  const version = isIP(address);
  if (version === 0 || rest.length > 0) return false;
  return prefix === undefined || wholeNumber(prefix, 1, version === 4 ? 32 : 128) !== undefined;
}

const MASTER_KEY_BYTES = 32;

/** `id:base64` of 32 bytes, several separated by commas. Kept as text: pkg/secrets makes keys of it. */
export function masterKeys(text: string): string | undefined {
  const entries = list(text);
  if (entries === undefined) return undefined;
  const ids = entries.map((entry) => entry.slice(0, entry.indexOf(':')));
  const isRight = entries.every((entry) => {
    const match = /^[A-Za-z0-9_-]{1,32}:([A-Za-z0-9+/]+={0,2})$/.exec(entry);
    return match?.[1] !== undefined && Buffer.from(match[1], 'base64').length === MASTER_KEY_BYTES;
  });
  return isRight && new Set(ids).size === ids.length ? text : undefined;
}
