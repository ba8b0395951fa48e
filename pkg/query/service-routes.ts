import type { paths } from '../contract/api.gen.js';
import type { DefinitionSource, KeyRing } from '../games/port.js';
import type { Clock } from '../kernel/clock.js';
import type { Access } from './access.js';
import { Parameters } from '../http/parameters.js';
import type { Readiness } from './port.js';
import { RequestProblem } from '../http/request-problem.js';
import type { Routes } from './serve.js';

export interface ServiceRouteDeps {
  readonly access: Access;
  readonly definitions: Pick<DefinitionSource, 'inForce'>;
  readonly keyRing: Pick<KeyRing, 'game'>;
  readonly clock: Pick<Clock, 'now'>;
  readonly limits: ConfigAnswer['limits'];
  readonly readiness: () => Promise<Readiness>;
}

type ConfigAnswer = paths['/v1/config']['get']['responses'][200]['content']['application/json'];
type HealthAnswer = paths['/readyz']['get']['responses'][200]['content']['application/json'];

const SIGNATURE_SKEW_SECONDS = 300;

/** What a client must know before it posts, and health. The door for events is in front of all this and takes POST alone. */
export const serviceRoutes =
  (deps: ServiceRouteDeps): Routes =>
  (serve) => {
    serve({
      path: '/healthz',
      isFree: true,
      GET: (_request, response) => void response.json({ status: 'ok' }),
    });

    serve({
      path: '/readyz',
      isFree: true,
      GET: async (_request, response) => {
        const readiness = await deps.readiness();
        if (!readiness.ready) response.status(503).set('Retry-After', '1');
        response.json(healthOf(readiness));
      },
    });

    serve({
      path: '/v1/config',
      isPublic: true,
      GET: async (request, response) => {
        const parameters = new Parameters(request, ['game']);
        const { gameId, caller } = deps.access.anybody(request, null, parameters);
        const config = await configOf(gameId, deps);
        // A stranger reads public boards alone, and learns of no others.
        const boards = config.boards.filter((board) => board.public || caller !== null);
        response.json({ ...config, boards });
      },
    });
  };

function healthOf({ ready, state, checks }: Readiness): HealthAnswer {
  const told = Object.entries(checks).map(([name, result]) => [
    name,
    { ok: result === 'ok', detail: result },
  ]);
  const status = ready ? 'ok' : state === 'draining' ? 'draining' : 'failing';
  return { status, checks: Object.fromEntries(told) as NonNullable<HealthAnswer['checks']> };
}

async function configOf(gameId: string, deps: ServiceRouteDeps): Promise<ConfigAnswer> {
  const nowMs = deps.clock.now();
  const game = deps.keyRing.game(gameId);
  if (game === null) throw new RequestProblem('not_found');
  const definition = await deps.definitions.inForce(gameId, nowMs);
  if (definition === null) throw new RequestProblem('definition_unavailable');
  return {
    serverTime: Math.floor(nowMs / 1000),
    gameId,
    definitionVersion: definition.version,
    acceptance: {
      pastSeconds: game.acceptancePastMs / 1000,
      aheadSeconds: Math.floor(game.acceptanceAheadMs / 1000),
      signatureSkewSeconds: SIGNATURE_SKEW_SECONDS,
    },
    limits: deps.limits,
    eventTypes: [...definition.eventTypes.values()].map(({ name, from }) => ({ type: name, from })),
    boards: [...definition.boards.values()].map((board) => ({
      board: board.name,
      eventType: board.eventType,
      windows: board.windows.map((window) => window.kind),
      partitionField: board.partitionField,
      public: board.isPublic,
    })),
  };
}
