import type { RoleName } from '../../kernel/roles.js';

/**
 * - `open`: nobody has decided yet.
 * - `redriven`: on its way to its role again.
 * - `applied`: the event took effect after all.
 * - `corrected`: another event took its place (docs/adr/0009).
 * - `dropped`: somebody decided that it never takes effect.
 */
export const LETTER_STATES = ['open', 'redriven', 'applied', 'corrected', 'dropped'] as const;
export type LetterState = (typeof LETTER_STATES)[number];

/** A dead letter without its body. Times are UTC ms. */
export interface LetterItem {
  readonly id: number;
  readonly role: RoleName;
  readonly gameId: string;
  readonly playerId: string;
  /** null where the message could not be read. */
  readonly eventId: string | null;
  readonly eventType: string | null;
  readonly reason: string;
  readonly attempts: number;
  readonly firstSeenMs: number;
  readonly lastSeenMs: number;
  readonly state: LetterState;
}

/** What somebody decided about letters by hand. */
export interface ActionItem {
  readonly id: number;
  readonly action: 'redrive' | 'drop' | 'correct' | 'reconcile' | 'set_aside';
  readonly actor: string;
  readonly why: string;
  readonly madeMs: number;
}

export interface Letter extends LetterItem {
  readonly detail: string;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly position: string;
  readonly codeVersion: string;
  /** `YYYY-MM-DD`, 32 and 64 lowercase hex digits; null where the message could not be read. */
  readonly dedupeDay: string | null;
  readonly identity: string | null;
  readonly contentHash: string | null;
  readonly closedMs: number | null;
  readonly closedBy: string | null;
  readonly closedWhy: string | null;
  /** The last decision about it. */
  readonly action: ActionItem | null;
  /** The id of the event that took its place. */
  readonly correctedBy: string | null;
}

/** Which letters: of those that fit everything that is named. Times are UTC ms, of when a letter was last seen. */
export interface LetterFilter {
  readonly role?: RoleName | undefined;
  readonly gameId?: string | undefined;
  readonly playerId?: string | undefined;
  readonly reason?: string | undefined;
  readonly state?: LetterState | undefined;
  readonly sinceMs?: number | undefined;
  readonly beforeMs?: number | undefined;
  /** Named one by one, at most IDS_MAX. */
  readonly ids?: readonly number[] | undefined;
}

export const IDS_MAX = 10_000;

/** Who decides, and why. */
export interface Decision {
  readonly actor: string;
  readonly why: string;
}
