import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { DEFAULT_BACKOFF, DEFAULT_MAX_ATTEMPTS } from '../bus/deliver.js';
import { createPostgresBus } from '../bus/postgres.js';
import { systemClock as clock } from '../kernel/clock.js';
import { systemRandom as random } from '../kernel/random.js';
import { eventually } from '../testkit/eventually.js';
import { ingestEvent, startIngestServer, type IngestServer } from '../testkit/ingest-server.js';
import { testDatabase, type TestDatabase } from '../testkit/postgres.js';
import { quietLogger as logger } from '../testkit/quiet.js';
import { REQUEST_WORK } from './limits.js';

const POOL = 2;

let database: TestDatabase;
let ingest: IngestServer;
beforeEach(async () => {
  database = await testDatabase(POOL);
  const never = (): Promise<never> => Promise.reject(new Error('nothing is dead here'));
  const policy = { maxAttempts: DEFAULT_MAX_ATTEMPTS, backoff: DEFAULT_BACKOFF, deadLetters: { put: never } };
  const { db, url } = database;
  const bus = createPostgresBus({ ...policy, clock, random, logger, db, url });
  ingest = await startIngestServer({ deps: { bus }, limits: { maxWork: 3 * REQUEST_WORK } });
});
afterEach(async () => {
  await ingest.close();
  await database.close();
});

const post = (): ReturnType<IngestServer['post']> => ingest.post({ body: JSON.stringify(ingestEvent()) });

test('row 44: with every connection to PostgreSQL taken all but a few are 503 at once, and what is answered 202 is on the bus', async () => {
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  let holding = 0;
  const holders = Array.from({ length: POOL }, () =>
    database.db.transaction(async (sql) => {
      await sql.query('SELECT pg_sleep(0.01)');
      holding += 1;
      await released;
    }),
  );
  await eventually('the pool is exhausted', () => holding === POOL);

  const statuses: number[] = [];
  const posts = Array.from({ length: 30 }, () => post().then(({ status }) => statuses.push(status)));
  await eventually('nearly all are answered while it still is', () => statuses.length >= 20);
  expect(new Set(statuses)).toEqual(new Set([503]));
  release();
  await Promise.all([...holders, ...posts]);

  await eventually('events are taken again', async () => {
    const { status } = await post();
    statuses.push(status);
    return status === 202;
  });
  const [row] = await database.db.query<{ kept: number }>('SELECT count(*) AS kept FROM bus_events');
  // On a slow machine a publisher may have given up on what arrived a moment later: 503 says only that nothing is promised.
  expect(row?.kept).toBeGreaterThanOrEqual(statuses.filter((status) => status === 202).length);
});
