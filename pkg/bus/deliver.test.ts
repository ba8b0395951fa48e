import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Clock } from '../kernel/clock.js';
import { OutageError } from '../kernel/errors.js';
import { dead, ok, retry, type Outcome } from '../kernel/outcome.js';
import { quietLogger } from '../testkit/quiet.js';
import { backoffMs } from './backoff.js';
import { deliver } from './deliver.js';
import type { BatchHandler, Delivery } from './port.js';

const MAX_ATTEMPTS = 3;

const deliveriesOf = (players: readonly string[]): Delivery[] =>
  players.map((playerId, n) => ({
    body: String(n),
    headers: {},
    messageId: String(n),
    gameId: 'demo',
    playerId,
    position: `0/${String(n)}`,
    attempt: 1,
  }));

interface Run {
  readonly flags: readonly boolean[];
  readonly letters: readonly string[];
  readonly pausesMs: readonly number[];
}

/** Runs a batch on a clock whose pauses pass at once; `stopAfterPauses` closes the subscription in one of them. */
async function run(
  players: readonly string[],
  handler: BatchHandler,
  options: { readonly stopAfterPauses?: number; readonly sinkFails?: () => boolean } = {},
): Promise<Run> {
  const closing = new AbortController();
  const pausesMs: number[] = [];
  const letters: string[] = [];
  const clock: Clock = {
    now: () => 0,
    monotonicMs: () => 0,
    sleep: async (ms) => {
      pausesMs.push(ms);
      if (pausesMs.length >= (options.stopAfterPauses ?? 10_000)) closing.abort();
    },
  };
  const flags = await deliver(deliveriesOf(players), handler, {
    role: 'archive',
    maxAttempts: MAX_ATTEMPTS,
    backoff: { baseMs: 10, capMs: 80 },
    deadLetters: {
      put: async (_, delivery) => {
        if (options.sinkFails?.() === true) throw new Error('no room');
        letters.push(delivery.body);
      },
    },
    clock,
    random: { unit: () => 1, bytes: () => Buffer.alloc(0) },
    logger: quietLogger,
    signal: closing.signal,
  });
  return { flags, letters, pausesMs };
}

type Fate = 'ok' | 'fails once' | 'fails always' | 'dead' | 'throws';

/** A handler that remembers when an event's effect was committed. */
function fated(fates: readonly Fate[], applied: string[]): BatchHandler {
  const outcomeOf = ({ body, attempt }: Delivery): Outcome => {
    const fate = fates[Number(body)];
    if (fate === 'dead') return dead('refused', '');
    if (fate === 'fails always' || (fate === 'fails once' && attempt === 1))
      return retry(new Error('failed'));
    applied.push(body);
    return ok;
  };
  return async (batch) => {
    if (batch.some(({ body }) => fates[Number(body)] === 'throws')) throw new Error('thrown');
    return batch.map(outcomeOf);
  };
}

const fate = fc.constantFrom<Fate>('ok', 'ok', 'ok', 'fails once', 'fails always', 'dead', 'throws');
const deliverable = fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c'), fate), { maxLength: 12 });

test('what an outage holds up is tried again without limit, alone and with its attempts untouched; only its player waits', async () => {
  let rounds = 0;
  const given: string[] = [];
  const handler: BatchHandler = async (batch) => {
    rounds += 1;
    given.push(batch.map(({ body, attempt }) => `${body}:${String(attempt)}`).join(' '));
    return batch.map(({ playerId }) =>
      playerId === 'slow' && rounds <= 3 * MAX_ATTEMPTS ? retry(new OutageError('PostgreSQL')) : ok,
    );
  };
  const { flags, letters } = await run(['a', 'slow', 'b', 'slow'], handler);
  expect(flags).toEqual([true, true, true, true]);
  expect(letters).toEqual([]);
  expect(given).toEqual(['0:1 1:1 2:1 3:1', ...Array<string>(3 * MAX_ATTEMPTS).fill('1:1 3:1')]);
});

test('whatever the events do, each ends applied or in a letter, never both, never nowhere', async () => {
  await fc.assert(
    fc.asyncProperty(deliverable, async (batch) => {
      const applied: string[] = [];
      const fates = batch.map(([, own]) => own);
      const { flags, letters } = await run(
        batch.map(([player]) => player),
        fated(fates, applied),
      );
      expect(flags).toEqual(batch.map(() => true));
      const doomed = fates.flatMap((own, n) =>
        ['fails always', 'dead', 'throws'].includes(own) ? [String(n)] : [],
      );
      expect([...letters].sort()).toEqual([...doomed].sort());
      expect(new Set(applied)).toEqual(
        new Set(fates.map((_, n) => String(n)).filter((n) => !doomed.includes(n))),
      );
    }),
  );
});

test('when it is ended early, what is acknowledged of a player is a beginning of what came for them', async () => {
  await fc.assert(
    fc.asyncProperty(
      deliverable,
      fc.integer({ min: 1, max: 4 }),
      fc.boolean(),
      async (batch, pauses, sinkFails) => {
        const applied: string[] = [];
        const { flags, letters } = await run(
          batch.map(([player]) => player),
          fated(
            batch.map(([, own]) => own),
            applied,
          ),
          { stopAfterPauses: pauses, sinkFails: () => sinkFails },
        );
        for (const player of ['a', 'b', 'c']) {
          const own = flags.filter((_, n) => batch[n]?.[0] === player);
          expect(own).toEqual([...own].sort((x, y) => Number(y) - Number(x)));
        }
        for (const [n, settled] of flags.entries()) {
          if (settled) expect([...applied, ...letters]).toContain(String(n));
        }
      },
    ),
  );
});

test('an outage pauses longer and longer up to the cap, as often as it takes', async () => {
  let left = 50;
  const attempts: number[] = [];
  const { flags, pausesMs } = await run(['a'], async (batch) => {
    attempts.push(...batch.map(({ attempt }) => attempt));
    left -= 1;
    if (left > 0) throw new OutageError('PostgreSQL');
    return batch.map(() => ok);
  });
  expect(flags).toEqual([true]);
  expect(new Set(attempts)).toEqual(new Set([1]));
  expect(pausesMs.slice(0, 5)).toEqual([10, 20, 40, 80, 80]);
  expect(pausesMs).toHaveLength(49);
});

test('a handler that answers the wrong number of outcomes has said nothing', async () => {
  const { flags, letters } = await run(['a', 'b'], async () => []);
  expect(flags).toEqual([true, true]);
  expect(letters).toEqual(['0', '1']);
});

test('half of a pause is fixed and half is random', () => {
  const rule = { baseMs: 100, capMs: 1_000 };
  const at = (unit: number, tries: number): number =>
    backoffMs(rule, tries, { unit: () => unit, bytes: () => Buffer.alloc(0) });
  expect([at(0, 1), at(1, 1), at(0, 3), at(0, 500)]).toEqual([50, 100, 200, 500]);
});
