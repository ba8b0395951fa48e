import { DEFAULT_BACKOFF, deliver } from '../../../bus/deliver.js';
import type { BatchHandler, Delivery } from '../../../bus/port.js';
import { encodeEvent, type AdmittedEvent } from '../../../contract/event.js';
import { systemClock } from '../../../kernel/clock.js';
import { dead } from '../../../kernel/outcome.js';
import { ROLES, type RoleName } from '../../../kernel/roles.js';
import { archiveRole } from '../../../archive/role.js';
import { fairnessRole } from '../../../fairness/role.js';
import { leaderboardRole } from '../../../leaderboard/role.js';
import { createProgressionRole } from '../../../progression/role.js';
import type { Database } from '../../../postgres/port.js';
import { createMarks } from '../../../worker/crash-guard/postgres.js';
import { correctLetter } from '../../../worker/dead-letters/correct.postgres.js';
import { dropJob } from '../../../worker/dead-letters/jobs.js';
import { closeStale, createDeadLetters } from '../../../worker/dead-letters/postgres.js';
import { letterIds, newestLetterId, recordAction } from '../../../worker/dead-letters/queries.postgres.js';
import { createDispatch } from '../../../worker/dispatch.js';
import { reconcileStep } from '../../../worker/reconcile/reconcile.js';
import { consumeBatch } from '../../../worker/resubmissions/consume.js';
import {
  pendingOf,
  progressOf,
  purgeClosed,
  redriveLetters,
} from '../../../worker/resubmissions/postgres.js';
import { admittedEvent } from '../../admitted-event.js';
import { quietLogger, quietMetrics } from '../../quiet.js';
import { Chance } from '../chance.js';
import { definitionOf, ROLLOVER_MS } from '../game.js';
import { simSigner } from '../signer.js';
import type { Engine } from './two-engines.js';

const WHY = { actor: 'ada', why: 'the rule is mended' };
const EVENTS = 40;

const definitions = {
  inForce: async (gameId: string) => definitionOf(gameId, 2),
  version: async (gameId: string, version: number) => definitionOf(gameId, version),
};

function handlersOf(db: Database): Record<RoleName, BatchHandler> {
  const deadLetters = createDeadLetters({ db, codeVersion: 'test' });
  const shared = { db, definitions, deadLetters, clock: systemClock, random: new Chance(3) };
  const quiet = { metrics: quietMetrics, logger: quietLogger };
  return {
    archive: createDispatch({ ...shared, ...quiet, role: archiveRole }),
    progression: createDispatch({
      ...{ ...shared, ...quiet },
      role: createProgressionRole({ definitions, signer: simSigner }),
    }),
    leaderboard: createDispatch({
      ...{ ...shared, ...quiet },
      role: leaderboardRole({ refresh: async () => undefined }),
    }),
    fairness: createDispatch({ ...shared, ...quiet, role: fairnessRole }),
  };
}

const gain = (n: number, deltaXp: number | string): AdmittedEvent =>
  admittedEvent({
    ...{ id: `e-${String(n)}`, playerId: `p-${String(n % 3)}`, tsMs: ROLLOVER_MS - 60_000 + n },
    payload: { deltaXp, activity: 'quest' },
  });

const deliveryOf = (event: AdmittedEvent, n: number): Delivery => ({
  ...{ gameId: event.gameId, playerId: event.playerId, messageId: String(n).padStart(16, '0') },
  ...{ position: `0/${String(n)}`, headers: {}, attempt: 1, body: encodeEvent(event) },
});

/**
 * What operators and the reconciler do, one thing after another: letters that are redriven (some come back), dropped,
 * corrected; events that roles lack and get.
 *
 * @returns what each step answered
 */
export async function operate(engine: Engine): Promise<unknown[]> {
  const { db } = engine;
  const told: unknown[] = [];
  const tell = async (work: Promise<unknown>): Promise<void> =>
    void told.push(await engine.finish(work.catch((error: unknown) => (error as { code?: string }).code)));
  const handlers = handlersOf(db);
  const deadLetters = createDeadLetters({ db, codeVersion: 'test' });
  const policy = { backoff: DEFAULT_BACKOFF, clock: systemClock, random: new Chance(5), logger: quietLogger };
  const signal = new AbortController().signal;
  const give = (
    role: RoleName,
    events: readonly AdmittedEvent[],
    handler = handlers[role],
  ): Promise<unknown> =>
    deliver(events.map(deliveryOf), handler, { ...policy, role, maxAttempts: 2, deadLetters, signal });
  const consume = (role: RoleName, handler = handlers[role]): Promise<unknown> =>
    consumeBatch(
      {
        ...{ db, role, handler, deadLetters, clock: systemClock, logger: quietLogger, metrics: quietMetrics },
        deliver: (batch, by, sink, until) =>
          deliver(batch, by, { ...policy, role, maxAttempts: 2, deadLetters: sink, signal: until }),
      },
      signal,
    );
  const refuse: BatchHandler = async (batch) => batch.map(() => dead('xp_overflow', 'too much'));
  const events = Array.from({ length: EVENTS }, (_, n) => gain(n, n % 9 === 8 ? 'many' : n));
  await engine.finish(give('archive', events));
  await engine.finish(give('progression', events.slice(0, 30), refuse));
  await engine.finish(give('leaderboard', events.slice(0, 20)));
  const idsOf = async (role: RoleName): Promise<number[]> =>
    letterIds(db, { role, state: 'open' }, { afterId: 0, upToId: await newestLetterId(db), limit: 99 });
  const ids = await engine.finish(idsOf('progression'));
  const action = await engine.finish(recordAction(db, 'redrive', WHY, { role: 'progression' }));
  await tell(redriveLetters(db, ids.slice(0, 12), action));
  await tell(redriveLetters(db, ids.slice(6, 14), action));
  await tell(
    consume('progression', async (batch) =>
      (await refuse(batch)).map((one, i) => (i < 4 ? one : { kind: 'ok' })),
    ),
  );
  await engine.finish(give('progression', events.slice(4, 12)));
  await tell(progressOf(db, action));
  await tell(dropJob({ filter: { ids: ids.slice(14, 18) }, decision: WHY }, { db }));
  await tell(dropJob({ filter: { ids: ids.slice(2, 4) }, decision: WHY }, { db }));
  // Of the archive: one that leaderboard has counted and one that nobody has; and what is on its way again.
  await engine.finish(give('archive', [gain(18, 1), gain(50, 1)], refuse));
  await engine.finish(give('leaderboard', [gain(51, 1)]));
  await engine.finish(give('archive', [gain(51, 1)], refuse));
  await tell(dropJob({ filter: { role: 'archive' }, decision: WHY }, { db }));
  await tell(redriveLetters(db, ids.slice(22, 24), action));
  await tell(dropJob({ filter: { ids: ids.slice(22, 23) }, decision: WHY }, { db }));
  for (const isTheirs of [true, false])
    await tell(
      pendingOf(db, 'progression', 9, { players: [{ gameId: 'demo', playerId: 'p-1' }], isTheirs }).then(
        (batch) => batch.map(({ delivery }) => delivery.body),
      ),
    );
  const correction = { db, definitions, clock: { now: () => ROLLOVER_MS }, random: new Chance(9) };
  for (const [n, xp] of [
    [20, 5],
    [20, 6],
    [18, 7],
    [8, 1],
  ] as const)
    await tell(
      correctLetter(ids[n] ?? 0, { deltaXp: xp, activity: 'quest' }, WHY, correction).then(
        ({ role }) => role,
      ),
    );
  for (const role of ROLES) await tell(consume(role));
  await engine.finish(give('progression', events.slice(14, 22)));
  await tell(closeStale(db, 'progression'));
  // What the archive has and a role lacks; the bodies, and what is on its way, are the same whoever reads the archive.
  for (const role of ['leaderboard', 'fairness', 'progression'] as const) {
    const options = { db, role, waitingSince: async () => null, clock: systemClock, logger: quietLogger };
    await tell(
      reconcileStep({ ...options, ageMs: -3_600_000 }, 86_400_000 * 30).then(({ submitted }) => submitted),
    );
    await tell(consume(role));
    await tell(reconcileStep({ ...options, ageMs: -3_600_000 }, 1).then(({ submitted }) => submitted));
  }
  await tell(purgeClosed(db));
  return told;
}

/** Three processes that die with the same event in hand, and others beside it. */
export async function dieOf(
  engine: Engine,
  live: (incarnation: string) => Promise<() => Promise<void>>,
): Promise<unknown[]> {
  const told: unknown[] = [];
  const [killer, beside, later] = ['a', 'b', 'c'].map((digit) => digit.repeat(16)) as [
    string,
    string,
    string,
  ];
  for (const [n, hand] of [
    [killer, beside],
    [killer, later],
    [killer],
    [killer],
    [killer],
    [later],
  ].entries()) {
    const incarnation = String(n + 1);
    const end = await engine.finish(live(incarnation));
    const marks = createMarks(engine.db, { incarnation, isHeld: true });
    told.push([...(await engine.finish(marks.take('progression', 0, hand, false)))]);
    const isAlone = hand.length === 1 && hand[0] === killer;
    if (isAlone) told.push([...(await engine.finish(marks.take('progression', 0, hand, true)))]);
    if (hand[0] === later) await engine.finish(marks.putDown('progression', 0, later));
    await engine.finish(end());
  }
  return told;
}
