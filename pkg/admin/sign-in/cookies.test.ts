import type { IncomingMessage } from 'node:http';
import { expect, test } from '@jest/globals';
import { createCookies } from './cookies.js';

const from = (host: string, cookie = ''): IncomingMessage =>
  ({ headers: { host, cookie } }) as unknown as IncomingMessage;
const refresh = { name: 'refresh', value: 'v', maxAgeSeconds: 9 } as const;

test.each([
  [null, 'admin.example', true],
  [null, 'localhost:8090', false],
  [null, '127.0.0.1:8090', false],
  [null, '[::1]:8090', false],
  [null, 'localhost.evil.example', true],
  ['https://admin.example', 'localhost:8090', true],
  ['http://localhost:8090', 'admin.example', false],
])(
  'with ADMIN_URL %s, asked as %s, the cookie is bound to its host and to TLS: %s',
  (origin, host, isBound) => {
    const text = createCookies(origin).write(from(host), refresh);
    expect(text).toBe(
      isBound
        ? '__Host-fairtally-refresh=v; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=9'
        : 'fairtally-refresh=v; Path=/admin/v1/auth; HttpOnly; SameSite=Strict; Max-Age=9',
    );
  },
);

test('a cookie is read by its whole name, and not at all when it stands twice', () => {
  const cookies = createCookies(null);
  const read = (cookie: string): string | null => cookies.read(from('admin.example', cookie), 'refresh');
  expect(read('a=b; __Host-fairtally-refresh=v; c=d')).toBe('v');
  expect(read('fairtally-refresh=v')).toBeNull();
  expect(read('x__Host-fairtally-refresh=v')).toBeNull();
  expect(read('__Host-fairtally-refresh=v; __Host-fairtally-refresh=w')).toBeNull();
  expect(read(`__Host-fairtally-refresh=${'v'.repeat(9_000)}`)).toBeNull();
});
