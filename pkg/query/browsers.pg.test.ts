import { connect, type AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { SERVER, startReadApp, type Ask, type ReadApp } from '../testkit/read-app.js';

const GAME_PAGE = 'https://game.example';
const OTHER_PAGE = 'https://elsewhere.example';
const PRIVATE = '/v1/players/p-1/progress';
const PUBLIC = '/v1/leaderboards/xp';

let app: ReadApp;
let configured: Ask;
beforeAll(async () => {
  app = await startReadApp();
  configured = (await app.another({ corsOrigins: [GAME_PAGE] })).ask;
});
afterAll(() => app.close());

describe('pages', () => {
  const from = (Origin: string): { headers: { Origin: string } } => ({ headers: { Origin } });

  test('of a configured origin may sign; the answer is kept apart by origin', async () => {
    const preflight = await configured('OPTIONS', PRIVATE, from(GAME_PAGE));
    expect(preflight.headers).toMatchObject({
      'access-control-allow-origin': GAME_PAGE,
      'access-control-allow-methods': 'GET, HEAD',
      'access-control-max-age': '600',
    });
    expect(preflight.headers['access-control-allow-headers']).toContain('X-Signature');
    const answer = await configured('GET', PRIVATE, { as: SERVER, ...from(GAME_PAGE) });
    expect(answer.headers).toMatchObject({ 'access-control-allow-origin': GAME_PAGE, vary: 'Origin' });
    expect(answer.headers['access-control-allow-credentials']).toBeUndefined();
    expect((await configured('OPTIONS', '/v1/events', from(GAME_PAGE))).headers).toMatchObject({
      'access-control-allow-origin': GAME_PAGE,
      'access-control-allow-methods': 'POST',
    });
  });

  test('of any other origin read what is public, its problems too, and may not sign', async () => {
    for (const ask of [app.ask, configured]) {
      const answer = await ask('GET', PUBLIC, from(OTHER_PAGE));
      expect([answer.status, answer.headers['access-control-allow-origin']]).toEqual([200, '*']);
      const missing = await ask('GET', '/v1/leaderboards/nothing', from(OTHER_PAGE));
      expect([missing.status, missing.headers['access-control-allow-origin']]).toEqual([404, '*']);
      const preflight = await ask('OPTIONS', '/v1/receipts/verify', from(OTHER_PAGE));
      expect(preflight.headers['access-control-allow-headers']).toContain('Content-Type');
      expect(preflight.headers['access-control-allow-headers']).not.toContain('X-Signature');
      const closed = await ask('OPTIONS', PRIVATE, from(OTHER_PAGE));
      expect([closed.status, closed.headers['access-control-allow-origin']]).toEqual([204, undefined]);
      const refused = await ask('GET', PRIVATE, { as: SERVER, ...from(OTHER_PAGE) });
      expect(refused.headers['access-control-allow-origin']).toBeUndefined();
    }
  });
});

describe('the documents', () => {
  test('/docs loads nothing from elsewhere and lets nothing in', async () => {
    const { text, headers } = await app.ask('GET', '/docs');
    expect(headers['content-security-policy']).not.toMatch(/https?:|unsafe-eval|script-src[^;]*unsafe/);
    expect(headers['content-security-policy']).toContain("script-src 'self';");
    const loaded = [...text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path]) => path ?? '');
    expect(loaded).toHaveLength(4);
    for (const path of loaded) {
      expect(path).toMatch(/^\/docs\//);
      const asset = await app.ask('GET', path);
      expect([path, asset.status]).toEqual([path, 200]);
    }
    expect(text).not.toMatch(/<script>|<style| on\w+=/);
  });

  test('of the copy of Swagger UI nothing else is served', async () => {
    for (const path of [
      '/docs/index.html',
      '/docs/package.json',
      '/docs/..%2fpackage.json',
      '/docs/%2e%2e/package.json',
    ])
      expect([path, (await app.ask('GET', path)).status]).toEqual([path, 404]);
  });
});

describe('row 60: a forged X-Forwarded-For', () => {
  const forged = (n: number): { headers: Record<string, string> } => ({
    headers: { 'X-Forwarded-For': `203.0.113.${String(n)}` },
  });
  const rate = { rate: 0.001, burst: 2 };

  test('changes no budget when no proxy is trusted', async () => {
    const { ask } = await app.another({ addressRate: rate });
    const statuses = [];
    for (let n = 0; n < 4; n += 1) statuses.push((await ask('GET', PUBLIC, forged(n))).status);
    expect(statuses).toEqual([200, 200, 429, 429]);
  });

  test('behind one trusted proxy only what that proxy wrote counts', async () => {
    const { ask } = await app.another({ addressRate: rate, trustProxy: { kind: 'hops', hops: 1 } });
    const behind = (n: number, client: string): Promise<number> =>
      ask('GET', PUBLIC, { headers: { 'X-Forwarded-For': `198.51.100.${String(n)}, ${client}` } }).then(
        ({ status }) => status,
      );
    expect([
      await behind(1, '192.0.2.1'),
      await behind(2, '192.0.2.1'),
      await behind(3, '192.0.2.1'),
    ]).toEqual([200, 200, 429]);
    expect(await behind(4, '192.0.2.2')).toBe(200);
  });
});

test('row 17: a body without end is answered 413 and cut', async () => {
  const { server } = await app.another({});
  const { port } = server.address() as AddressInfo;
  const answer = await new Promise<string>((resolve, reject) => {
    let text = '';
    const socket = connect(port, '127.0.0.1');
    const chunk = `1000\r\n${'x'.repeat(4096)}\r\n`;
    const pump = (): void => {
      while (socket.writable && socket.write(chunk));
    };
    socket.on('drain', pump).on('data', (data: Buffer) => (text += data.toString('latin1')));
    socket
      .on('close', () => resolve(text))
      .on('error', (error) => (text === '' ? reject(error) : resolve(text)));
    socket.write('POST /v1/receipts/verify HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n');
    pump();
  });
  expect(answer).toMatch(/^HTTP\/1\.1 413 /);
  expect(answer).toContain('"code":"body_too_large"');
  expect(answer).toMatch(/connection: close/i);
});

test('a request id that is no id of ours is not repeated', async () => {
  const kept = await app.ask('GET', '/healthz', { headers: { 'X-Request-Id': 'abc_-9' } });
  expect(kept.headers['x-request-id']).toBe('abc_-9');
  for (const id of ['<script>', 'x'.repeat(65), 'a b'])
    expect(
      (await app.ask('GET', '/healthz', { headers: { 'X-Request-Id': id } })).headers['x-request-id'],
    ).toMatch(/^[A-Za-z0-9_-]{16}$/);
});

test('a target in absolute form reaches its path but opens nothing that is signed', async () => {
  const { server } = await app.another({});
  const { port } = server.address() as AddressInfo;
  const line = await new Promise<string>((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('data', (data) => {
      socket.destroy();
      resolve(data.toString('latin1').split('\r\n', 1)[0] ?? '');
    });
    socket.on('error', reject);
    const headers = 'X-Key-Id: demo\r\nX-Timestamp: 2000000000\r\nX-Signature: v1=' + '0'.repeat(64);
    socket.write(`GET http://x${PRIVATE} HTTP/1.1\r\nHost: x\r\n${headers}\r\n\r\n`);
  });
  expect(line).toBe('HTTP/1.1 401 Unauthorized');
});
