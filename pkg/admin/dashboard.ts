import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import express, { type Express } from 'express';
import type { Random } from '../kernel/random.js';

/** Stands in the built page wherever the nonce of an answer goes (web/vite.config.ts). */
const NONCE = /__CSP_NONCE__/g;
const NONCE_BYTES = 16;
const YEAR_MS = 365 * 24 * 3_600_000;

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
    const files = { index: false, redirect: false } as const;
    app.use(
      '/assets',
      express.static(join(folder, 'assets'), { ...files, immutable: true, maxAge: YEAR_MS }),
    );
    app.get('/icon.svg', (_request, response) => response.sendFile('icon.svg', { root: folder }));
    app.get(/^\/(?!admin\/v1(?:\/|$)|assets\/).*$/, (_request, response) => {
      const nonce = random.bytes(NONCE_BYTES).toString('base64');
      response
        .set({ 'Cache-Control': 'no-store', 'Content-Security-Policy': policyOf(nonce) })
        .type('html')
        .send(page.replace(NONCE, nonce));
    });
  };
