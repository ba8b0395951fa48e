import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { auditGame } from '../../audit/audit.js';
import { auditParts, deliveryOf, handlersOf, playedEvents, prepareGame } from '../../audit/fixtures.js';
import { createSqsOperator } from '../../bus/sqs-operator.js';
import { createSqsBus } from '../../bus/sqs.js';
import type { Bus } from '../../bus/port.js';
import type { AdmittedEvent } from '../../contract/event.js';
import { systemClock } from '../../kernel/clock.js';
import { OutageError } from '../../kernel/errors.js';
import { systemRandom } from '../../kernel/random.js';
import { ROLES, type RoleName } from '../../kernel/roles.js';
import { drained } from '../../testkit/bus-bench.js';
import { testDatabase, type TestDatabase } from '../../testkit/postgres.js';
import { quietLogger } from '../../testkit/quiet.js';
import { startSqsEndpoint, type ServiceError, type SqsEndpoint } from '../../testkit/sqs-endpoint.js';
import { createDeadLetters } from '../dead-letters/postgres.js';
import { consumeResubmissions } from '../resubmissions/consume.js';
import { consumer, patiently } from '../resubmissions/fixtures.js';
import { runReconciler } from './reconcile.js';

const NAME = 'game-events';
const DENIED: ServiceError = { __type: 'com.amazon.coral.service#AccessDeniedException', status: 400 };
const OTHERS = ROLES.filter((role) => role !== 'archive');

let database: TestDatabase;
let endpoint: SqsEndpoint;
const buses: Bus[] = [];
beforeAll(async () => {
  database = await testDatabase();
  await prepareGame(database.db);
  endpoint = await startSqsEndpoint();
  const operator = createSqsOperator({ sqs: endpoint.client, name: NAME, maxAttempts: 5 });
  await operator.create();
  await operator.close();
});
afterAll(async () => {
  await Promise.all(buses.map((bus) => bus.close()));
  await endpoint.close();
  await database.close();
});

function openBus(): Bus {
  const bus = createSqsBus({
    sqs: endpoint.client,
    name: NAME,
    maxAttempts: 5,
    backoff: { baseMs: 1, capMs: 4 },
    deadLetters: createDeadLetters({ db: database.db, codeVersion: 'test' }),
    waitSeconds: 1,
    clock: systemClock,
    random: systemRandom,
    logger: quietLogger,
  });
  buses.push(bus);
  return bus;
}

const publish = (bus: Bus, events: readonly AdmittedEvent[]): Promise<void> =>
  bus.publish(events.map(deliveryOf).map(({ attempt: _, position: __, ...message }) => message));

/** The endpoint refuses what goes to a role, once it has taken so many requests to it. */
function refuse(taken: Partial<Record<RoleName, number>>): void {
  const left = { ...taken };
  endpoint.before('SendMessageBatch', ({ QueueUrl = '' }) => {
    const role = ROLES.find((one) => QueueUrl.endsWith(`-${one}.fifo`));
    const room = role === undefined ? undefined : left[role];
    if (role === undefined || room === undefined) return null;
    left[role] = room - 1;
    return room > 0 ? null : DENIED;
  });
}

const inboxOf = async (role: RoleName): Promise<number> => {
  const [row] = await database.db.query<{ count: number }>(
    'SELECT count(*) AS count FROM inbox WHERE role = $1',
    [role],
  );
  return row?.count ?? 0;
};

test('row 35: some queues took some of a call, or the archive alone did, and nobody sends it again: the roles get what they lack, and all is exact', async () => {
  const { db } = database;
  const events = playedEvents();
  const gateway = openBus();
  await publish(gateway, events.slice(0, 20));
  refuse({ progression: 1, leaderboard: 0 });
  await expect(publish(gateway, events.slice(20, 50))).rejects.toBeInstanceOf(OutageError);
  // What a gateway leaves that is killed when the archive has answered.
  refuse({ progression: 0, leaderboard: 0, fairness: 0 });
  await expect(publish(gateway, events.slice(50))).rejects.toBeInstanceOf(OutageError);
  refuse({});

  const worker = openBus();
  const handlers = handlersOf(db);
  for (const role of ROLES) await worker.subscribe(role, handlers[role]);
  for (const role of ROLES) await drained(worker, role);
  expect(await inboxOf('archive')).toBe(events.length);
  const lacking = await Promise.all(OTHERS.map(async (role) => events.length - (await inboxOf(role))));
  expect(Math.min(...lacking)).toBeGreaterThan(0);
  expect(new Set(lacking).size).toBeGreaterThan(1);

  const stop = new AbortController();
  const waitingSince = async (role: RoleName): Promise<number | null> =>
    (await worker.lag(role)).oldestPublishedAtMs;
  const loops = OTHERS.flatMap((role) => [
    runReconciler({ db, role, waitingSince, clock: systemClock, logger: quietLogger, ageMs: 0 }, stop.signal),
    consumeResubmissions(consumer(db, handlers[role], { role }), stop.signal),
  ]);
  await patiently('every role has every event', async () =>
    (await Promise.all(ROLES.map(inboxOf))).every((count) => count === events.length),
  );
  await patiently('nothing is pending', async () => {
    return (await db.query("SELECT 1 FROM resubmissions WHERE state = 'pending'")).length === 0;
  });
  stop.abort();
  await Promise.all(loops);
  const sent = await db.query<{ role: RoleName; count: number }>(
    'SELECT role, count(*) AS count FROM resubmissions GROUP BY role',
  );
  expect(new Map(sent.map(({ role, count }) => [role, count]))).toEqual(
    new Map(OTHERS.map((role, n) => [role, lacking[n]])),
  );
  const audited = await auditGame('demo', { db, ...auditParts });
  expect(audited.differences).toEqual([]);
  expect(audited.letters).toEqual([]);
}, 240_000);
