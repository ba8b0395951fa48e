import type { Sql } from '../postgres/port.js';

/** What somebody may do in a game, from least to most. */
export const GAME_ROLES = ['viewer', 'analyst', 'operator', 'admin'] as const;
export type GameRole = (typeof GAME_ROLES)[number];

/** What an operation asks: a role in its game, a session, or nothing. */
export type RequiredRole = GameRole | 'signed-in' | 'anyone';

/** Somebody who is signed in. */
export interface Person {
  readonly userId: string;
  readonly username: string;
  readonly sessionId: string;
  readonly isLocal: boolean;
  /** Signed in with a password that somebody else gave. */
  readonly mustChangePassword: boolean;
  /** Admin of every game. */
  readonly isAdminOfAll: boolean;
}

/** What somebody did. `details` is flat and never holds a secret. */
export interface AuditEntry {
  /** `subject.verb`, as `player.hide`. */
  readonly action: string;
  /** What it was done to, as `player p-42`. */
  readonly subject: string;
  readonly reason?: string | null;
  readonly details?: Readonly<Record<string, string | number | boolean | null>>;
}

/** A transaction that changes something: what it audits is written before it commits, or nothing is. */
export interface Change {
  readonly sql: Sql;
  audit(entry: AuditEntry): void;
}

/** Who did it, for the audit log. */
export interface Actor {
  /** null: nobody is signed in. */
  readonly userId: string | null;
  readonly name: string;
  readonly requestId: string;
}

/** Where the admin API meets the database. Every statement sees the rows of one game, and of no other. */
export interface GameDatabase {
  /** All that the work reads is of one moment: a page, its ranks and its total agree. */
  read<T>(gameId: string, work: (sql: Sql) => Promise<T>): Promise<T>;
  /** @throws Error when the work ends without an audit entry */
  change<T>(gameId: string, actor: Actor, work: (change: Change) => Promise<T>): Promise<T>;
  /** As `change`, for what nobody decides: it may end without an audit entry. */
  upkeep<T>(gameId: string, actor: Actor, work: (change: Change) => Promise<T>): Promise<T>;
}

/** Stands for the installation where the audit log asks for a game: sign-ins, users. */
export const INSTALLATION = '*';
