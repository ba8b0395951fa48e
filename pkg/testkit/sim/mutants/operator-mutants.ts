import type { JsonObject } from '../../../contract/event.js';
import { identityOf } from '../../../contract/identity.js';
import { CRASHES_MAX } from '../../../worker/crash-guard/rules.js';
import { readEvent } from '../../../worker/read-event.js';
import { PoisonError } from '../../../kernel/errors.js';
import { ROLES } from '../../../kernel/roles.js';
import type { Delivery } from '../../../bus/port.js';
import { secretOf } from '../game.js';
import { meaningNamed, type Mutant } from './mutant.js';

const RESUBMISSIONS = 'pkg/worker/resubmissions/postgres.ts';
const QUERIES = 'pkg/worker/dead-letters/queries.postgres.ts';

/** The same event under another identity: what no inbox knows. */
function asNew(delivery: Delivery): Delivery {
  if (!delivery.messageId.startsWith('resubmission/')) return delivery;
  try {
    const event = readEvent(delivery.body);
    const identity = identityOf(event.gameId, event.playerId, event.dedupeDay, delivery.messageId);
    const body = JSON.stringify({ ...(JSON.parse(delivery.body) as JsonObject), identity });
    return { ...delivery, body };
  } catch (error) {
    if (error instanceof PoisonError) return delivery;
    throw error;
  }
}

/** Bugs of what stands beside the bus: operators, the reconciler, the crash guard, the replay, the bounds. */
export const operatorMutants: readonly Mutant[] = [
  {
    name: 'a redrive goes to all roles',
    needs: (swarm) => swarm.hasOperator,
    doubles: () => ({
      statements: {
        [`${RESUBMISSIONS} REDRIVE`]: function* (session, values) {
          const rows = yield* meaningNamed(`${RESUBMISSIONS} REDRIVE`)(session, values);
          for (const { row } of session.rows('resubmissions', (one) => one['state'] === 'pending')) {
            for (const role of ROLES.filter((other) => other !== row['role'])) {
              const id = session.server.nextSerial();
              yield* session.insertNew('resubmissions', String(id), { ...row, id, role });
            }
          }
          return rows;
        },
      },
    }),
  },
  {
    name: 'what is sent again gets a new identity',
    needs: (swarm) => swarm.hasOperator,
    doubles: () => ({
      consume: ({ deliver, ...others }) => ({
        ...others,
        deliver: (batch, by, sink, signal) => deliver(batch.map(asNew), by, sink, signal),
      }),
    }),
  },
  {
    name: 'a resubmission is closed before it is delivered',
    needs: (swarm) => swarm.hasOperator,
    focus: ['db.lost-before', 'db.commit-lost-before', 'node.kill', 'db.restart'],
    doubles: () => ({
      consume: ({ deliver, ...others }) => ({
        ...others,
        deliver: async (batch, by, sink, signal) => {
          deliver(batch, by, sink, signal).catch(() => undefined);
          return batch.map(() => true);
        },
      }),
    }),
  },
  {
    name: 'a decision about one game reaches all',
    needs: (swarm) => swarm.hasOperator,
    doubles: () => ({
      statements: {
        [`${QUERIES} letterIds`]: (session, values) =>
          meaningNamed(`${QUERIES} letterIds`)(session, [values[0], null, ...values.slice(2)]),
      },
    }),
  },
  {
    name: 'the reconciler trusts a young archive',
    needs: (swarm) => swarm.hasReconciler,
    focus: ['bus.publish-partial', 'db.slow', 'db.pause-in-statement', 'net.answer-lost'],
    doubles: () => ({ reconciler: (options) => ({ ...options, ageMs: -3_600_000 }) }),
  },
  {
    name: 'the reconciler sends nothing and notes that it did',
    needs: (swarm) => swarm.hasReconciler,
    focus: ['bus.publish-partial'],
    doubles: () => ({
      statements: {
        'pkg/worker/reconcile/postgres.ts READ': function* () {
          return [];
        },
      },
    }),
  },
  {
    name: 'the crash guard blames what only lay beside',
    needs: (swarm) => swarm.hasGuard,
    focus: ['node.kill'],
    doubles: () => ({
      marks: (marks) => ({
        ...marks,
        take: async (...given) =>
          new Map([...(await marks.take(...given))].map(([key]) => [key, CRASHES_MAX])),
      }),
    }),
  },
  {
    name: 'the crash guard forgets who died',
    needs: (swarm) => swarm.hasKiller,
    doubles: () => ({ marks: (marks) => ({ ...marks, take: async () => new Map<string, number>() }) }),
  },
  {
    name: 'the checkpoint is written before the answer',
    needs: (swarm) => swarm.hasReplay,
    focus: ['node.kill'],
    doubles: () => ({
      replay: ({ recording, ...others }, save) => ({
        ...others,
        recording: (async function* () {
          for await (const recorded of recording) {
            save(recorded.line);
            yield recorded;
          }
        })(),
      }),
    }),
  },
  {
    name: 'a replay skips a line that the gateway asks for again',
    needs: (swarm) => swarm.hasReplay,
    focus: ['net.answer-lost', 'bus.publish-refused'],
    doubles: () => ({
      replay: ({ client, ...others }) => ({
        ...others,
        client: {
          send: async (...given) => {
            const answer = await client.send(...given);
            return answer.status < 500
              ? answer
              : { ...answer, status: 202, text: acceptedAll(given[2]?.body ?? '') };
          },
        },
      }),
    }),
  },
  {
    name: 'an idempotency key answers whatever the body',
    needs: (swarm) => swarm.keysMax > 1_000,
    doubles: () => ({
      idempotency: (store) => ({
        claim: (scope, key) => store.claim(scope, key, 'any body'),
        complete: (...given) => store.complete(...given),
        release: (...given) => store.release(...given),
      }),
    }),
  },
  {
    name: 'limits remember every address',
    needs: (swarm) => swarm.bucketsMax < 100,
    doubles: () => ({
      limiter: (limiter) => {
        const seen = new Set<string>();
        return {
          get size() {
            return seen.size;
          },
          take: (key, cost, rule) => {
            seen.add(key);
            return limiter.take(key, cost, rule);
          },
        };
      },
    }),
  },
  {
    name: 'an error tells the secret that it met',
    focus: ['bus.publish-refused'],
    doubles: () => ({
      publisher: (bus) => ({
        publish: (messages) =>
          bus.publish(messages).catch((error: unknown) => {
            throw new Error(`refused for ${secretOf('demo-1')}`, { cause: error });
          }),
      }),
    }),
  },
];

const acceptedAll = (body: string): string =>
  JSON.stringify({
    results: body.split('\n').map(() => ({ status: 'accepted' })),
  });
