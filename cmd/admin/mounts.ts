import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import express, { type Express } from 'express';
import type { Health } from '../../pkg/runtime/health.js';

/** For load balancers: alive, and able to serve. */
export const health =
  (state: Health) =>
  (app: Express): void => {
    app.get('/healthz', (_request, response) => void response.json({ status: 'ok' }));
    app.get('/readyz', async (_request, response) => {
      const { ready, state: name } = await state.readiness();
      response.status(ready ? 200 : 503).json({ status: name });
    });
  };

/** Where the build puts the dashboard; sources have none. */
const FOLDER = fileURLToPath(new URL('../../web/', import.meta.url));
const YEAR_MS = 365 * 24 * 3_600_000;

/** The dashboard: files whose names change with what is in them, and one page for all of its places. */
export function dashboard(app: Express): void {
  if (!existsSync(join(FOLDER, 'assets'))) return;
  app.use(
    '/assets',
    express.static(join(FOLDER, 'assets'), {
      immutable: true,
      maxAge: YEAR_MS,
      index: false,
      redirect: false,
    }),
  );
  app.use(express.static(FOLDER, { index: false, redirect: false, cacheControl: false }));
  app.get(/^\/(?!admin\/v1(?:\/|$)|assets\/)[^.]*$/, (_request, response) =>
    response.set('Cache-Control', 'no-cache').sendFile('index.html', { root: FOLDER, cacheControl: false }),
  );
}
