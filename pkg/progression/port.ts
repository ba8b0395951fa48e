import type { Page, PageRequest } from '../contract/keyset-page.js';
import type { ReceiptKeys } from '../games/port.js';

/** What a receipt says, besides who issued it and for which game. RFC 7519 names. */
export interface ReceiptGrant {
  /** The player. */
  readonly sub: string;
  /** The receipt's id: a function of game, player and grant key alone. */
  readonly jti: string;
  /** Event time of the cause, whole seconds (NumericDate). */
  readonly iat: number;
  readonly reward: string;
  readonly amount: number;
  /** The grant key: `level:<L>:<item>`, `boss:<bossId>:<item>`, `drop:<dropId>`. */
  readonly cause: string;
  /** Whether a game server or a client sent the event that caused it. */
  readonly src: 'server' | 'client';
}

export interface ReceiptClaims extends ReceiptGrant {
  readonly iss: string;
  /** `game:<gameId>` */
  readonly aud: string;
}

/** Where the private half of a game's key in use comes from. Asked for every receipt: it answers from memory. */
export type ReceiptKeySource = Pick<ReceiptKeys, 'current'>;

/** Signs receipts. The same game, key and grant give the same bytes (RFC 8032 is deterministic). */
export interface ReceiptSigner {
  /** `jws` is a compact JWS (RFC 7515). */
  sign(gameId: string, grant: ReceiptGrant): Promise<{ readonly kid: string; readonly jws: string }>;
}

/** What checking a receipt needs to know. */
export interface ReceiptAuthority {
  /** The `iss` that receipts are issued under. */
  readonly issuer: string;
  /** The public key of a kid and the game it belongs to, retired ones included. */
  readonly publicKey: ReceiptKeys['publicKey'];
  isRevoked(gameId: string, receiptId: string): Promise<boolean>;
}

/** `malformed`, `wrong_header`, `unknown_key`, `bad_signature`, `wrong_claims`: not ours. `revoked`: ours once. */
export type ReceiptFault =
  'malformed' | 'wrong_header' | 'unknown_key' | 'bad_signature' | 'wrong_claims' | 'revoked';

/** `claims` and `revoked` stand when the signature holds; `code` says why a receipt is not valid. */
export interface ReceiptVerdict {
  readonly valid: boolean;
  readonly claims?: ReceiptClaims;
  readonly revoked?: boolean;
  readonly code?: ReceiptFault;
}

export interface Progress {
  readonly playerId: string;
  readonly totalXp: number;
  readonly level: number;
  readonly levelStartsAtXp: number;
  /** null at the highest level. */
  readonly nextLevelAtXp: number | null;
  readonly definitionVersion: number;
}

export interface ReceiptItem {
  readonly receiptId: string;
  /** Byte for byte as issued. */
  readonly jws: string;
  readonly playerId: string;
  readonly reward: string;
  readonly amount: number;
  readonly cause: string;
  /** Event time of the cause, UTC ms. */
  readonly tsMs: number;
  readonly revokedAtMs: number | null;
}

export interface RevokedReceipt {
  readonly receiptId: string;
  readonly revokedAtMs: number;
}

export interface XpEntry {
  readonly tsMs: number;
  readonly deltaXp: number;
  /** 32 lowercase hex digits. */
  readonly identity: string;
  readonly definitionVersion: number;
}

/** What players and dashboards may ask. Lists reject with FairtallyError `bad_limit` or `bad_cursor`. */
export interface ProgressionReads {
  /** null for a player of whom nothing counted yet. */
  progress(gameId: string, playerId: string): Promise<Progress | null>;
  /** Oldest cause first. */
  receipts(gameId: string, playerId: string, page: PageRequest): Promise<Page<ReceiptItem>>;
  receipt(gameId: string, receiptId: string): Promise<ReceiptItem | null>;
  /** Oldest revocation first. */
  revoked(gameId: string, page: PageRequest): Promise<Page<RevokedReceipt>>;
  /** A player's XP, latest event time first. */
  xpHistory(gameId: string, playerId: string, page: PageRequest): Promise<Page<XpEntry>>;
}
