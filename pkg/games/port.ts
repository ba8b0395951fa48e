import type { KeyObject } from 'node:crypto';
import type { JsonObject, JsonValue } from '../contract/event.js';

export type WindowKind = 'daily' | 'weekly' | 'seasonal' | 'all-time';
export type Aggregate = 'sum' | 'best' | 'min' | 'last';

/** A payload that its event type's JSON Schema refuses. `pointer` is a JSON Pointer into the event (RFC 6901). */
export interface PayloadFault {
  readonly pointer: string;
  readonly message: string;
}

export interface EventType {
  readonly name: string;
  /** Which senders may send it: server keys only, or players' sessions too. */
  readonly from: 'server' | 'any';
  readonly schema: JsonObject;
  /** null when the payload is right. Compiled once per version. */
  validate(payload: JsonValue): PayloadFault | null;
}

export interface BoardWindow {
  readonly kind: WindowKind;
  /** IANA zone and hour 0..23 at which daily and weekly cycles begin. */
  readonly timeZone: string;
  readonly resetHour: number;
}

/** Keeps an event when every named payload field equals one of the values. */
export type BoardFilter = ReadonlyMap<string, readonly JsonValue[]>;

export interface Board {
  readonly name: string;
  readonly eventType: string;
  readonly aggregate: Aggregate;
  /** `desc`: the greatest score leads (sum, best, last by default); `asc`: the smallest leads (min). */
  readonly order: 'desc' | 'asc';
  /** Payload field with the value: an integer by its schema. null: each event counts 1 (aggregate sum). */
  readonly valueField: string | null;
  /** null: ranks players; else the payload field whose text is ranked (a guild). */
  readonly subjectField: string | null;
  /** null: one board; else the payload field that splits it (a track, a boss). */
  readonly partitionField: string | null;
  readonly filter: BoardFilter;
  readonly windows: readonly BoardWindow[];
  readonly isPublic: boolean;
}

/** A cycle of a window. `key` is `<kind>:<name>`, as stored; `name` is what users see. */
export interface Cycle {
  readonly key: string;
  readonly kind: WindowKind;
  readonly name: string;
  /** null for all-time, and for what precedes the first named season. */
  readonly startsAtMs: number | null;
  /** null for all-time, and for what follows the last named season. */
  readonly endsAtMs: number | null;
}

export interface RewardGrant {
  readonly reward: string;
  readonly amount: number;
}

/** One rule of the definition: when its cause happens for the first time for a player, its item is granted for good. */
export interface EventReward {
  readonly eventType: string;
  /** Prefix and payload field of the cause: `boss` + bossId -> `boss:<bossId>`. */
  readonly causeName: string;
  readonly causeField: string;
  /** The item: fixed, or the text of a payload field. */
  readonly reward: { readonly fixed: string } | { readonly field: string };
  readonly amount: { readonly fixed: number } | { readonly field: string; readonly otherwise: number };
  /** Whether the item's name is part of the grant key (`boss:<bossId>:<item>`), or the cause alone (`drop:<dropId>`). */
  readonly keyedByReward: boolean;
}

export interface Levels {
  /** The event type and integer payload field that add XP. */
  readonly eventType: string;
  readonly xpField: string;
  readonly maxLevel: number;
  /** Level of a total, 1..maxLevel. */
  levelOf(totalXp: number): number;
  /** Smallest total that reaches a level (level 1: 0). */
  xpFor(level: number): number;
  /** Every grant for reaching a level (2..maxLevel). */
  rewardsFor(level: number): readonly RewardGrant[];
}

export interface FairnessMetric {
  readonly name: string;
  readonly eventType: string;
  /** A payload number, or the seconds since the player's previous event of this type (only from a later ts). */
  readonly value: { readonly field: string } | { readonly sincePrevious: true };
  /** Payload field whose values are kept apart (a boss), or null. */
  readonly partitionField: string | null;
  /** `log` is sign(x) * ln(1 + |x|). */
  readonly transform: 'none' | 'log';
  /** Which side is suspicious. */
  readonly side: 'high' | 'low' | 'both';
  /** Samples that must stand before a value is judged. */
  readonly minSamples: number;
  /** A value is a finding when |z| on the suspicious side is greater. */
  readonly maxZ: number;
}

export interface GameDefinition {
  readonly gameId: string;
  /** 1, 2, 3 ... per game, given when it is applied. */
  readonly version: number;
  readonly unknownTypes: 'store' | 'refuse';
  readonly eventTypes: ReadonlyMap<string, EventType>;
  readonly boards: ReadonlyMap<string, Board>;
  /** Boards fed by an event type; empty for most. */
  boardsFor(eventType: string): readonly Board[];
  /** The cycles that an event of this time belongs to on a board, one per window. */
  cyclesOf(board: Board, tsMs: number): readonly Cycle[];
  /** The cycle of a window that holds an instant. */
  cycleAt(window: BoardWindow, tsMs: number): Cycle;
  /** How long after its end a cycle waits for late events before its snapshot is written. */
  readonly graceMs: number;
  readonly levels: Levels | null;
  readonly rewards: readonly EventReward[];
  readonly fairness: readonly FairnessMetric[];
}

/** Definitions as the hot paths need them. */
export interface DefinitionSource {
  /** The version in force at an instant; null when the game is unknown. Cached; learns of a new version by itself. */
  inForce(gameId: string, nowMs: number): Promise<GameDefinition | null>;
  /** One exact version. Rejects when it does not exist. Cached for good. */
  version(gameId: string, version: number): Promise<GameDefinition>;
}

export type Scope = 'ingest' | 'read' | 'replay' | 'sessions';
export type Scheme = 'v1' | 'plain-timestamp' | 'plain-body';

export interface SigningKey {
  readonly keyId: string;
  readonly gameId: string;
  /** As issued; its UTF-8 bytes are the HMAC key. */
  readonly secret: string;
  readonly scopes: ReadonlySet<Scope>;
  readonly schemes: ReadonlySet<Scheme>;
  /** What an event signed by it counts as: `server` may send types marked `from: server`. */
  readonly trust: 'server' | 'client';
  readonly debug: boolean;
  readonly notBeforeMs: number;
  readonly notAfterMs: number | null;
  readonly revokedAtMs: number | null;
}

/** What the gateway knows of a game besides its definition. */
export interface Game {
  readonly gameId: string;
  readonly dedupeFloor: string;
  readonly acceptancePastMs: number;
  readonly acceptanceAheadMs: number;
  readonly sessionMasterId: string;
  readonly sessionMaster: Buffer;
}

export interface SessionRevocation {
  readonly gameId: string;
  readonly sid: string | null;
  readonly playerId: string | null;
  readonly keyId: string | null;
  readonly issuedBeforeMs: number;
}

/** Keys, games and revocations as the hot path needs them: in memory, refreshed in the background. */
export interface KeyRing {
  key(keyId: string): SigningKey | null;
  game(gameId: string): Game | null;
  revocations(gameId: string): readonly SessionRevocation[];
  /** False when a game has more revocations than are kept: then its sessions, and no others, are refused with 503. */
  revocationsAreKnown(gameId: string): boolean;
  /** How long ago the last refresh succeeded; sessions are refused with 503 beyond 60 s. */
  ageMs(): number;
}

/** An Ed25519 public key as a JWKS shows it (RFC 8037). */
export interface ReceiptJwk {
  readonly kty: 'OKP';
  readonly crv: 'Ed25519';
  readonly x: string;
  /** RFC 7638 thumbprint. */
  readonly kid: string;
  readonly use: 'sig';
  readonly alg: 'EdDSA';
}

/** The keys that sign receipts. A retired key signs no more, but what it signed stays good. */
export interface ReceiptKeys {
  /** The key that signs a game's receipts now; made when the game has none. */
  current(gameId: string): Promise<{ readonly kid: string; readonly privateKey: KeyObject }>;
  /** Every public key of a game (of all games when none is named), retired ones included, newest first. */
  jwks(gameId?: string): Promise<{ readonly keys: readonly ReceiptJwk[] }>;
  /** null when no game has such a key. */
  publicKey(kid: string): Promise<{ readonly gameId: string; readonly publicKey: KeyObject } | null>;
}
