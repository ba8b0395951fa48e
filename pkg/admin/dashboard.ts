import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { constants, gzipSync } from 'node:zlib';
import type { Express } from 'express';
import type { Random } from '../kernel/random.js';

/** Stands in the built page wherever the nonce of an answer goes (web/vite.config.ts). */
const NONCE = /__CSP_NONCE__/g;
const NONCE_BYTES = 16;
const FOR_GOOD = 'public, max-age=31536000, immutable';

/**
 * What the page may do (Content Security Policy Level 3): scripts, pictures and data of its own origin, and the style elements that
 * its components make with the nonce of this answer. Text becomes markup by no way but the policy that the page itself sets up.
 */
const policyOf = (nonce: string): string =>
  [
    "default-src 'none'",
    "script-src 'self'",
    `style-src 'self' 'nonce-${nonce}'`,
    "img-src 'self' data:",
    "font-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    'trusted-types default',
  ].join('; ');

interface Asset {
  readonly plain: Buffer;
  /** null where it would be no smaller. */
  readonly gzip: Buffer | null;
}

/** A build is some files of some hundred kilobytes: they are read and compressed once. */
function readAssets(folder: string): ReadonlyMap<string, Asset> {
  return new Map(
    readdirSync(folder).map((name) => {
      const plain = readFileSync(join(folder, name));
      const gzip = gzipSync(plain, { level: constants.Z_BEST_COMPRESSION });
      return [name, { plain, gzip: gzip.length < plain.length ? gzip : null }];
    }),
  );
}

/**
 * The dashboard: files whose names change with what is in them, and one page for all of its places. Where it was not built there is
 * none.
 *
 * @param folder where the build put it
 */
export const dashboard =
  (folder: string, random: Random) =>
  (app: Express): void => {
    if (!existsSync(join(folder, 'index.html'))) return;
    const page = readFileSync(join(folder, 'index.html'), 'utf8');
    const assets = readAssets(join(folder, 'assets'));
    app.get('/assets/:name', (request, response, next) => {
      const asset = assets.get(request.params.name);
      if (asset === undefined) return next();
      const isGzip = asset.gzip !== null && request.acceptsEncodings('gzip') === 'gzip';
      response
        .set({
          'Cache-Control': FOR_GOOD,
          Vary: 'Accept-Encoding',
          ...(isGzip ? { 'Content-Encoding': 'gzip' } : {}),
        })
        .type(extname(request.params.name))
        .send(isGzip ? asset.gzip : asset.plain);
    });
    app.get('/icon.svg', (_request, response) => response.sendFile('icon.svg', { root: folder }));
    app.get(/^\/(?!admin\/v1(?:\/|$)|assets\/).*$/, (_request, response) => {
      const nonce = random.bytes(NONCE_BYTES).toString('base64');
      response
        .set({ 'Cache-Control': 'no-store', 'Content-Security-Policy': policyOf(nonce) })
        .type('html')
        .send(page.replace(NONCE, nonce));
    });
  };
