import { createHash, createHmac } from 'node:crypto';
import type { Random } from '../../kernel/random.js';

/** 256 bits, base64url. */
export const REFRESH_TOKEN = /^[A-Za-z0-9_-]{43}$/;
const TOKEN_BYTES = 32;

/** A token that is used again so soon is that of a client whose answer was lost. */
export const LOST_REPLY_MS = 10_000;

export const randomToken = (random: Pick<Random, 'bytes'>): string =>
  random.bytes(TOKEN_BYTES).toString('base64url');

/** How tokens are kept. They are random, so that a plain hash is enough. */
export const hashOf = (token: string): Buffer => createHash('sha256').update(token).digest();

/**
 * The token after this one. It follows from it, so that whoever asks twice with one token gets one successor and not two:
 * a lost answer can be repeated and yet there is never a second line of tokens.
 */
export const successorOf = (token: string, secret: Buffer): string =>
  createHmac('sha256', secret).update(token).digest('base64url');
