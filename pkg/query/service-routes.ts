import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import express, { type Express } from 'express';
import type { paths } from '../contract/api.gen.js';
import type { DefinitionSource, KeyRing } from '../games/port.js';
import type { Clock } from '../kernel/clock.js';
import { isSigned, type Access } from './access.js';
import { PUBLIC_CORS } from './cors.js';
import { onlyParameters, RequestProblem } from './request.js';

export interface ServiceRouteDeps {
  readonly access: Access;
  readonly definitions: DefinitionSource;
  readonly keyRing: KeyRing;
  readonly clock: Clock;
  readonly limits: ConfigAnswer['limits'];
  readonly readiness: () => Promise<{
    ready: boolean;
    state: string;
    checks: Readonly<Record<string, string>>;
  }>;
  /** The API document as it ships. */
  readonly apiDocument: string;
}

type ConfigAnswer = paths['/v1/config']['get']['responses'][200]['content']['application/json'];

const SIGNATURE_SKEW_SECONDS = 300;

/** What a client must know first, health, and the documents. */
export const serviceRoutes =
  (deps: ServiceRouteDeps) =>
  (app: Express): void => {
    app.get('/v1/config', async (request, response) => {
      onlyParameters(request, ['game']);
      const gameId = isSigned(request)
        ? (await deps.access.signed(request, 'read')).gameId
        : await deps.access.publicGame(request);
      response.set(PUBLIC_CORS).setHeader('Cache-Control', 'no-store');
      response.json(await configOf(gameId, deps));
    });

    app.get('/healthz', (_request, response) => {
      response.setHeader('Cache-Control', 'no-store');
      response.json({ status: 'ok' });
    });

    app.get('/readyz', async (_request, response) => {
      const { ready, state, checks } = await deps.readiness();
      const status = ready ? 'ok' : state === 'draining' ? 'draining' : 'failing';
      const told = Object.entries(checks).map(([name, result]) => [
        name,
        { ok: result === 'ok', detail: result },
      ]);
      response.setHeader('Cache-Control', 'no-store');
      response.status(ready ? 200 : 503).json({ status, checks: Object.fromEntries(told) as object });
    });

    documentRoutes(app, deps.apiDocument);
  };

async function configOf(
  gameId: string,
  { definitions, keyRing, clock, limits }: ServiceRouteDeps,
): Promise<ConfigAnswer> {
  const nowMs = clock.now();
  const game = keyRing.game(gameId);
  const definition = await definitions.inForce(gameId, nowMs);
  if (game === null) throw new RequestProblem('not_found');
  if (definition === null) throw new RequestProblem('definition_unavailable', {}, 5);
  return {
    serverTime: Math.floor(nowMs / 1000),
    gameId,
    definitionVersion: definition.version,
    acceptance: {
      pastSeconds: game.acceptancePastMs / 1000,
      aheadSeconds: game.acceptanceAheadMs / 1000,
      signatureSkewSeconds: SIGNATURE_SKEW_SECONDS,
    },
    limits,
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

/** /docs shows the API document with a copy of Swagger UI from our own origin; nothing comes from elsewhere. */
function documentRoutes(app: Express, apiDocument: string): void {
  const require = createRequire(import.meta.url);
  const assets = dirname(require.resolve('swagger-ui-dist/package.json'));
  const page = readFileSync(new URL('docs.html', import.meta.url), 'utf8');
  const script = readFileSync(new URL('docs.js', import.meta.url), 'utf8');
  app.get(
    '/openapi.yaml',
    (_request, response) => response.set(PUBLIC_CORS).type('application/yaml').send(apiDocument) as never,
  );
  app.get('/docs', (_request, response) => response.type('html').send(page) as never);
  app.get('/docs/start.js', (_request, response) => response.type('text/javascript').send(script) as never);
  app.use('/docs/assets', express.static(assets, { index: false, redirect: false, maxAge: '1h' }));
}
