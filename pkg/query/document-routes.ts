import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import type { Response } from 'express';
import type { Handler, Routes } from './serve.js';

const ASSET_MAX_AGE_MS = 3_600_000;

/** React writes style attributes; everything else comes from our own origin. */
const PAGE_SECURITY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; " +
  "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** The API document, and /docs: Swagger UI from a copy on our own origin. `apiDocument` is the YAML as it ships. */
export const documentRoutes =
  (apiDocument: string): Routes =>
  (serve) => {
    const page = readFileSync(new URL('docs.html', import.meta.url), 'utf8');
    const script = readFileSync(new URL('docs.js', import.meta.url), 'utf8');
    serve({
      path: '/openapi.yaml',
      isPublic: true,
      GET: text('application/yaml; charset=utf-8', apiDocument),
    });
    serve({
      path: '/docs',
      GET: (_request, response) => {
        response.set('Content-Security-Policy', PAGE_SECURITY);
        response.type('html').send(page);
      },
    });
    serve({ path: '/docs/start.js', GET: text('text/javascript; charset=utf-8', script) });
    for (const asset of ['swagger-ui.css', 'swagger-ui-bundle.js', 'favicon-32x32.png'])
      serve({ path: `/docs/${asset}`, GET: (_request, response) => sendAsset(response, asset) });
  };

const text =
  (type: string, body: string): Handler =>
  (_request, response) =>
    void response.set('Content-Type', type).send(body);

const ASSETS = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));

function sendAsset(response: Response, name: string): Promise<void> {
  response.removeHeader('Cache-Control');
  return new Promise((resolve, reject) => {
    response.sendFile(name, { root: ASSETS, maxAge: ASSET_MAX_AGE_MS }, (error: Error | undefined) => {
      // A client that left in the middle is no fault of ours.
      if (error === undefined || response.headersSent) resolve();
      else reject(error);
    });
  });
}
