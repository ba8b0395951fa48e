import { hash } from 'node:crypto';
import type { Response } from 'express';

/** Player data is for the player and the game's servers alone. */
export function sendPrivate(response: Response, answer: object, status = 200): void {
  response.setHeader('Cache-Control', 'private, no-store');
  response.status(status).json(answer);
}

/** The same for everybody: any cache may keep it so long, and ask with the ETag afterwards (Express answers 304). */
export function sendPublic(response: Response, answer: object, maxAgeSeconds: number): void {
  const body = JSON.stringify(answer);
  response.set({
    'Cache-Control': `public, max-age=${String(maxAgeSeconds)}`,
    'Content-Type': 'application/json; charset=utf-8',
    ETag: `"${hash('sha256', body, 'base64url')}"`,
  });
  response.send(body);
}
