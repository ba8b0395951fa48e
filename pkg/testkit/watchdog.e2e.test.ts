import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { eventually } from './eventually.js';
import { freePort } from './postgres-server.js';
import { built, startProcess } from './processes.js';
import { startStack, type Stack } from './stack.js';

let stack: Stack;
beforeEach(async () => {
  stack = await startStack();
}, 180_000);
afterEach(() => stack.close());

test('row 48: a worker whose bus client went silent says that it is not ready, and ends by itself to be started again', async () => {
  const gateway = await stack.startGateway();
  const port = String(await freePort());
  const env = { ...stack.env, METRICS_PORT: port, STUCK_ROLE: 'progression', STUCK_SECONDS: '5' };
  const worker = startProcess('worker', [built('pkg/testkit/stuck-worker-main.js')], env);
  await worker.waitFor(/worker is ready/);
  const readiness = async (): Promise<{ status: number; text: string }> => {
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`);
    return { status: answer.status, text: await answer.text() };
  };
  await eventually('it is ready', async () => (await readiness()).status === 200);

  const client = stack.client(gateway.url);
  const event = {
    id: 'e-1',
    type: 'progression',
    playerId: 'p-1',
    ts: Date.now(),
    payload: { deltaXp: 1, activity: 'q' },
  };
  expect((await client.send('POST', '/v1/events', { body: JSON.stringify(event) })).status).toBe(202);
  client.close();

  await worker.waitFor(
    /"role":"progression","waiting":1.*makes no progress: this process is not ready, and ends in 5 s/,
  );
  const unready = await readiness();
  expect(unready.status).toBe(503);
  expect(JSON.parse(unready.text)).toMatchObject({ checks: { roles: 'failed' } });
  expect(await worker.exited).toEqual({ code: 1, signal: null });
  expect(worker.output()).toMatch(
    /the role progression makes no progress: the process ends, to be started again/,
  );
}, 180_000);
