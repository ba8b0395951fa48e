import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import { systemClock } from '../../pkg/kernel/clock.js';
import { quietLogger } from '../../pkg/testkit/quiet.js';
import { createDrain, type Drain } from './drain.js';

let server: Server;
const stop = new AbortController();
const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  server.close();
});

/** A server whose answers wait for `answer`, and a clock that stands or runs as fast as it is slept on. */
async function start(isTimePassing: boolean): Promise<{ drain: Drain; answer: () => void }> {
  let sleptMs = 0;
  const answers: (() => void)[] = [];
  server = createServer((_, response) => {
    drain.prepare(response);
    answers.push(() => response.end('answered'));
  });
  const clock = {
    sleep: (ms: number, signal?: AbortSignal) => {
      if (isTimePassing) sleptMs += ms;
      return systemClock.sleep(1, signal);
    },
    monotonicMs: () => sleptMs,
  };
  const drain = createDrain({ server, clock, logger: quietLogger, stopping: stop.signal });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    drain,
    answer: () => answers.splice(0).forEach((one) => one()),
  };
}

async function open(bytes: string): Promise<Socket> {
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  socket.on('error', () => undefined);
  sockets.push(socket);
  const accepted = once(server, 'connection');
  await Promise.all([accepted, once(socket, 'connect')]);
  const isHeard = bytes.endsWith('\r\n\r\n') ? once(server, 'request') : Promise.resolve();
  socket.write(bytes);
  await isHeard;
  return socket;
}

/** However it ends: a server that cuts off what it has not read resets the connection. */
const ended = (socket: Socket): Promise<void> =>
  new Promise((resolve) => socket.resume().once('close', () => resolve()));

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

test('a request under way is answered, its connection ends, and so does one on which nothing was ever sent', async () => {
  const { drain, answer } = await start(false);
  const busy = await open(GET);
  const unused = await open('');
  const unusedEnds = ended(unused);
  let text = '';
  busy.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const busyEnds = ended(busy);
  const closed = drain.close();
  await unusedEnds;
  expect(text).toBe('');
  answer();
  await Promise.all([closed, busyEnds]);
  expect(text).toContain('answered');
});

test('a client that never ends its request is cut off in time', async () => {
  const { drain } = await start(true);
  const half = await open('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n');
  const ends = ended(half);
  const closed = drain.close();
  await Promise.all([closed, ends]);
});
