import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { ClientAnswer } from '../client/signed-client.js';
import { systemClock } from '../kernel/clock.js';
import { OutageError } from '../kernel/errors.js';
import { startStack, type Stack } from './stack.js';

const CLIENTS = 4;

let stack: Stack;
beforeAll(async () => {
  stack = await startStack();
}, 180_000);
afterAll(() => stack.close());

test('row 75: busy keep-alive clients during SIGTERM: each answer is 202 or 503, readiness goes off first, nothing is lost', async () => {
  const gateway = await stack.startGateway();
  await stack.startWorker();
  const client = stack.client(gateway.url);
  const statuses = new Set<number>();
  const acknowledged: string[] = [];
  const closing: ClientAnswer[] = [];
  let sent = 0;
  const busy = async (): Promise<void> => {
    for (let failures = 0; failures < 5;) {
      const id = `drain-${String((sent += 1))}`;
      const event = { id, type: 'progression', playerId: 'p', ts: systemClock.now(), payload: XP };
      try {
        const answer = await client.send('POST', '/v1/events', { body: JSON.stringify(event) });
        statuses.add(answer.status);
        if (answer.status === 202) acknowledged.push(id);
        if (answer.headers['connection'] === 'close') closing.push(answer);
      } catch (error) {
        // No answer: the listener is gone. Whether the event counts is unknown, so nothing is promised.
        expect(error).toBeInstanceOf(OutageError);
        failures += 1;
      }
    }
  };
  const load = Promise.all(Array.from({ length: CLIENTS }, busy));
  while (acknowledged.length < 200) await systemClock.sleep(10);
  expect(closing).toEqual([]);

  const startedMs = systemClock.monotonicMs();
  gateway.process.kill('SIGTERM');
  await gateway.process.waitFor(/"stopping"/);
  const readiness = await fetch(`${gateway.url}/readyz`);
  expect(readiness.status).toBe(503);
  expect(await readiness.text()).toContain('draining');

  expect(await gateway.process.exited).toEqual({ code: 0, signal: null });
  expect(systemClock.monotonicMs() - startedMs).toBeLessThan(10_000);
  await load;
  client.close();
  expect([...statuses].filter((status) => status !== 202 && status !== 503)).toEqual([]);
  expect(closing.length).toBeGreaterThan(0);

  await stack.drained();
  const rows = await stack.db.query<{ id: string }>('SELECT event_id AS id FROM events');
  const kept = new Set(rows.map(({ id }) => id));
  expect(acknowledged.filter((id) => !kept.has(id))).toEqual([]);
}, 180_000);

test('what was refused just before a gateway stops is written before it ends', async () => {
  const gateway = await stack.startGateway();
  const client = stack.client(gateway.url);
  const event = { id: 'wrong', type: 'progression', playerId: 'p', ts: systemClock.now(), payload: {} };
  const answer = await client.send('POST', '/v1/events', { body: JSON.stringify(event) });
  expect(answer.status).toBe(400);
  gateway.process.kill('SIGTERM');
  expect(await gateway.process.exited).toEqual({ code: 0, signal: null });
  client.close();
  const kept = await stack.db.query(
    "SELECT key_id, player_id, event_id, code, pointer FROM refusals WHERE event_id = 'wrong'",
  );
  expect(kept).toEqual([
    {
      key_id: 'demo',
      player_id: 'p',
      event_id: 'wrong',
      code: 'invalid_payload',
      pointer: '/payload/deltaXp',
    },
  ]);
  expect(
    await stack.db.query("SELECT build, events FROM refusal_minutes WHERE code = 'invalid_payload'"),
  ).toEqual([{ build: '', events: 1 }]);
}, 180_000);

const XP = { deltaXp: 1, activity: 'quest' };
