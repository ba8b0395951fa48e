import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import express from 'express';
import { systemClock } from '../kernel/clock.js';
import { bodyOf } from './body.js';
import { bearLong, endSlowBodies } from './slow-bodies.js';

const BODY_MAX_MS = 200;
let server: Server;

beforeAll(async () => {
  const app = express();
  app.use(endSlowBodies(systemClock, BODY_MAX_MS));
  app.get('/page', (_request, response) => void response.end('a page'));
  app.post('/read', async (request, response) => {
    response.end(String((await bodyOf(request, systemClock, 1_000)).bytes));
  });
  app.post('/long', async (request, response) => {
    bearLong(response);
    response.end(String((await bodyOf(request, systemClock, 1_000)).bytes));
  });
  app.use(((_error, _request, response, _next) => void response.destroy()) as express.ErrorRequestHandler);
  server = createServer(app);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});

afterAll(() => void server.close());

/** What comes until the connection ends, of a request whose last byte is sent after `lastAfterMs`, if ever. */
async function sendSlowly(line: string, lastAfterMs?: number): Promise<string> {
  const socket = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1' });
  let text = '';
  socket.setEncoding('utf8').on('data', (piece: string) => (text += piece));
  socket.on('error', () => undefined); // a reset ends it too
  const connection = lastAfterMs === undefined ? 'keep-alive' : 'close';
  socket.write(`${line} HTTP/1.1\r\nHost: x\r\nConnection: ${connection}\r\nContent-Length: 3\r\n\r\nab`);
  const closed = once(socket, 'close');
  if (lastAfterMs !== undefined) void systemClock.sleep(lastAfterMs).then(() => socket.write('c'));
  await closed;
  return text;
}

test('row 61: a body that is too slow gets 408, and no answer that needs it', async () => {
  expect(await sendSlowly('POST /read')).toMatch(/^HTTP\/1\.1 408 /);
});

test('row 61: a connection whose body nobody reads is ended too', async () => {
  expect(await sendSlowly('GET /page')).toContain('a page');
});

test('a body that is borne longer comes as a whole', async () => {
  expect(await sendSlowly('POST /long', 3 * BODY_MAX_MS)).toMatch(/abc$/);
});
