import type { Express } from 'express';
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
