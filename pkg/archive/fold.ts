import type { AdmittedEvent, JsonValue } from '../contract/event.js';
import { PoisonError } from '../kernel/errors.js';
import type { RoleEvent } from '../worker/port.js';

/** What the archive knows of a player. Times are event times, UTC ms. */
export interface Profile {
  readonly gameId: string;
  readonly playerId: string;
  readonly firstSeenMs: number;
  readonly lastSeenMs: number;
  /** Events in the archive; 0 stands only in a profile made a moment ago, whose times mean nothing yet. */
  readonly events: number;
}

export interface ArchivedEvent {
  readonly event: AdmittedEvent;
  /** JSON texts, checked to be what a jsonb column can hold. */
  readonly payload: string;
  readonly context: string | null;
}

/** By playerRef. */
export type ArchiveState = ReadonlyMap<string, Profile>;

export interface ArchiveChanges {
  readonly events: readonly ArchivedEvent[];
  readonly profiles: ArchiveState;
}

export interface Player {
  readonly gameId: string;
  readonly playerId: string;
}

/** A text per player; game ids hold no line break. */
export const playerRef = ({ gameId, playerId }: Player): string => `${gameId}\n${playerId}`;

/**
 * Every event as a row, and the profiles of their players.
 *
 * @throws PoisonError `unstorable_text` for an event that PostgreSQL cannot hold
 */
export function foldArchive(state: ArchiveState, events: readonly RoleEvent[]): ArchiveChanges {
  const profiles = new Map<string, Profile>();
  for (const { event } of events) {
    const ref = playerRef(event);
    const before = profiles.get(ref) ?? state.get(ref);
    if (before === undefined) throw new Error('a profile was not loaded');
    profiles.set(ref, seen(before, event.tsMs));
  }
  return { events: events.map(({ event }) => archivedEvent(event)), profiles };
}

function seen(profile: Profile, tsMs: number): Profile {
  if (profile.events === 0) return { ...profile, firstSeenMs: tsMs, lastSeenMs: tsMs, events: 1 };
  return {
    ...profile,
    firstSeenMs: Math.min(profile.firstSeenMs, tsMs),
    lastSeenMs: Math.max(profile.lastSeenMs, tsMs),
    events: profile.events + 1,
  };
}

function archivedEvent(event: AdmittedEvent): ArchivedEvent {
  const context = event.mapped ? event.context : { ...event.context, mapped: false };
  return {
    event,
    payload: storableJson(event.payload),
    context: context === undefined ? null : storableJson(context as JsonValue),
  };
}

/** JSON.stringify writes U+0000 and lone surrogates, and nothing else that jsonb refuses, as such an escape. */
const MAYBE_UNSTORABLE = /\\u(?:0000|d[89a-f])/;
const UNSTORABLE = /[\0\p{Surrogate}]/u;

/**
 * The JSON text of a value. jsonb keeps numbers as decimals, so every double comes back as it was; it reorders keys, which
 * RFC 8785 does too.
 */
function storableJson(value: JsonValue): string {
  const text = JSON.stringify(value);
  // The escape may also be the harmless text of a backslash and a letter u: only then the strings are looked through.
  if (MAYBE_UNSTORABLE.test(text) && holdsUnstorable(value)) {
    throw new PoisonError('unstorable_text', 'a text of the event holds U+0000 or half of a surrogate pair');
  }
  return text;
}

function holdsUnstorable(value: JsonValue): boolean {
  if (typeof value === 'string') return UNSTORABLE.test(value);
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some(([key, inner]) => UNSTORABLE.test(key) || holdsUnstorable(inner));
}
