import type { IncomingMessage } from 'node:http';

/** A cookie that only this service reads. */
export interface OwnCookie {
  readonly name: 'refresh' | 'oidc' | 'device';
  readonly value: string;
  /** 0 takes it away. */
  readonly maxAgeSeconds: number;
}

export interface Cookies {
  read(request: IncomingMessage, name: OwnCookie['name']): string | null;
  /** A value of Set-Cookie. */
  write(request: IncomingMessage, cookie: OwnCookie): string;
}

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?$/i;
const COOKIES_MAX_LENGTH = 8_192;

/**
 * HttpOnly, SameSite=Strict, Secure and named `__Host-...`, so that no other host and no plain connection can set or read them
 * (RFC 6265bis section 4.1.3). On this machine itself, by plain HTTP, browsers disagree about Secure: there the cookie goes
 * without it, under a name of its own and for the sign-in paths alone. Which of the two: by the address that people use
 * (`origin`), else by the host that was asked.
 */
export function createCookies(origin: string | null): Cookies {
  const isPlain = ({ headers }: IncomingMessage): boolean =>
    origin === null ? LOOPBACK.test(headers.host ?? '') : origin.startsWith('http:');
  const nameOf = (request: IncomingMessage, name: string): string =>
    `${isPlain(request) ? '' : '__Host-'}fairtally-${name}`;
  return {
    read: (request, name) => cookieOf(request.headers.cookie ?? '', nameOf(request, name)),
    write: (request, { name, value, maxAgeSeconds }) => {
      const where = isPlain(request) ? 'Path=/admin/v1/auth' : 'Path=/; Secure';
      return `${nameOf(request, name)}=${value}; ${where}; HttpOnly; SameSite=Strict; Max-Age=${String(maxAgeSeconds)}`;
    },
  };
}

function cookieOf(header: string, name: string): string | null {
  if (header.length > COOKIES_MAX_LENGTH) return null;
  const values = header
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${name}=`))
    .map((pair) => pair.slice(name.length + 1));
  return values.length === 1 ? (values[0] ?? null) : null;
}
