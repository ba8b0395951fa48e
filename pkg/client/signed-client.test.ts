import { afterEach, expect, test } from '@jest/globals';
import { openDoor, SECRET, steppedClock, type Door, type DoorOptions } from './fixtures.js';
import { createSignedClient, type SignedClient } from './signed-client.js';

const NOW_MS = 1_795_176_000_000;
const opened: (Door | SignedClient)[] = [];
afterEach(async () => {
  for (const one of opened.splice(0)) await one.close();
});
const doorOf = async (options?: DoorOptions): Promise<Door> => {
  const door = await openDoor(options);
  opened.push(door);
  return door;
};
const clientOf = (url: string): SignedClient => {
  const client = createSignedClient({ url, keyId: 'demo', secret: SECRET, clock: steppedClock(NOW_MS) });
  opened.push(client);
  return client;
};
const EVENT = '{"id":"e-1","playerId":"p-1","ts":1}';

test('every request is signed as docs/signing.md says', async () => {
  const door = await doorOf();
  const client = clientOf(door.url);
  await client.send('POST', '/v1/events', { body: EVENT, idempotencyKey: 'k-1' });
  await client.send('GET', '/v1/leaderboards/xp?around=p%2D42');
  expect(door.signatures).toEqual({ good: 2, bad: 0 });
  expect(door.requests[1]?.target).toBe('/v1/leaderboards/xp?around=p%2D42');
});

test('row 15: a wrong clock is corrected once by serverTime, and stays corrected', async () => {
  const serverTime = NOW_MS / 1000 + 3_600;
  const door = await doorOf({
    answer: ({ headers }) =>
      Math.abs(Number(headers['x-timestamp']) - serverTime) <= 300
        ? null
        : { status: 401, body: { code: 'timestamp_out_of_tolerance', serverTime } },
  });
  const client = clientOf(door.url);
  expect((await client.send('POST', '/v1/events', { body: EVENT })).status).toBe(202);
  expect((await client.send('POST', '/v1/events', { body: EVENT })).status).toBe(202);
  expect(door.requests).toHaveLength(3);
  expect(door.signatures.bad).toBe(0);
});

test('another 401 is answered as it is, at once', async () => {
  const door = await doorOf({ answer: () => ({ status: 401, body: { code: 'invalid_signature' } }) });
  expect((await clientOf(door.url).send('GET', '/v1/config')).status).toBe(401);
  expect(door.requests).toHaveLength(1);
});

test('a path of the base URL is sent and signed', async () => {
  const door = await doorOf();
  await clientOf(`${door.url}/games/`).send('POST', '/v1/events', { body: EVENT });
  expect(door.requests[0]?.target).toBe('/games/v1/events');
  expect(door.signatures.bad).toBe(0);
});

test('no answer is an outage, which says nothing about the effect', async () => {
  const door = await openDoor();
  await door.close();
  await expect(clientOf(door.url).send('GET', '/v1/config')).rejects.toMatchObject({
    code: 'dependency_unavailable',
    retriable: true,
  });
});

test.each(['localhost:8080', 'ftp://host', 'http://host/?a=1', ''])('%p is refused as a base URL', (url) => {
  expect(() => clientOf(url)).toThrow('base URL');
});
