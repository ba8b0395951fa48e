import { createHash } from 'node:crypto';
import { canonicalJson } from '../contract/canonical-json.js';
import type { JsonValue } from '../contract/event.js';

/** An entry of the audit log as its hash covers it. */
export interface ChainedEntry {
  readonly gameId: string;
  readonly seq: number;
  readonly atMs: number;
  readonly actorId: string | null;
  readonly actor: string;
  readonly action: string;
  readonly subject: string;
  readonly reason: string | null;
  readonly details: Readonly<Record<string, string | number | boolean | null>>;
  readonly requestId: string;
}

/** The hash before the first entry of a game. */
export const FIRST_HASH = Buffer.alloc(32);

/** SHA-256 over the hash before (32 bytes) and the entry as canonical JSON (RFC 8785). */
export const entryHash = (previous: Buffer, entry: ChainedEntry): Buffer =>
  createHash('sha256')
    .update(previous)
    .update(canonicalJson(entry as unknown as JsonValue))
    .digest();
