import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Random } from '../../kernel/random.js';
import { normalName } from './users.postgres.js';

/** Browsers in which somebody has signed in before. What one is given is no proof of who asks, and opens nothing. */
export interface Devices {
  /** The cookie of a browser in which somebody of this name has signed in. */
  make(username: string): string;
  /** The browser's own id; null: nobody of this name has signed in there. */
  idOf(cookie: string | null, username: string): string | null;
}

const ID_BYTES = 16;
const COOKIE = /^([A-Za-z0-9_-]{22})\.([A-Za-z0-9_-]{43})$/;

/** `secret` also makes refresh tokens out of 43 characters; the prefix and its line feeds keep the two apart. */
export function createDevices(secret: Buffer, random: Pick<Random, 'bytes'>): Devices {
  const proofOf = (id: string, username: string): Buffer =>
    createHmac('sha256', secret)
      .update(`device\n${id}\n${normalName(username)}`)
      .digest();
  return {
    make(username) {
      const id = random.bytes(ID_BYTES).toString('base64url');
      return `${id}.${proofOf(id, username).toString('base64url')}`;
    },
    idOf(cookie, username) {
      const [, id, proof] = COOKIE.exec(cookie ?? '') ?? [];
      if (id === undefined || proof === undefined) return null;
      return timingSafeEqual(Buffer.from(proof, 'base64url'), proofOf(id, username)) ? id : null;
    },
  };
}
