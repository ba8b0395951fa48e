import type { Clock } from '../kernel/clock.js';
import type { RoleName } from '../kernel/roles.js';

export type DifferenceKind =
  | 'event' // the law of identities: inbox or open dead letter, in every role, once
  | 'stranger' // an effect without an archived event
  | 'profile'
  | 'progress'
  | 'ledger'
  | 'grant'
  | 'receipt' // a grant whose signed text says something else
  | 'score'
  | 'cycle' // a board's cycle without its row, or a snapshot that is not what it froze
  | 'sample'
  | 'baseline'
  | 'finding'
  | 'counters'
  | 'view';

/** One thing that is not as it must be. */
export interface Difference {
  readonly kind: DifferenceKind;
  readonly role: RoleName | 'view';
  /** The player, board subject, identity or role it is about. */
  readonly subject: string;
  /** Which of the subject's things: `event e-1`, `xp daily:2026-11-20`. */
  readonly what: string;
  readonly expected: string;
  readonly found: string;
}

/** Names a difference without its numbers, which move while events arrive. */
const nameOf = ({ kind, role, subject, what }: Difference): string =>
  [kind, role, subject, what].join('\u0000');

export interface Looked {
  readonly events: number;
  readonly differences: readonly Difference[];
}

const LOOKS_MAX = 6;
const NEXT_LOOK_AFTER_MS = 400;

/**
 * Looks again at subjects that differ: roles that are a moment apart agree then. A difference counts when it stands in the
 * first look and in the last.
 */
export async function settled(
  subjects: readonly string[],
  look: (subjects: readonly string[]) => Promise<Looked>,
  clock: Pick<Clock, 'sleep'>,
): Promise<Looked> {
  const first = await look(subjects);
  let standing = first.differences;
  for (let looks = 1; looks < LOOKS_MAX && standing.length > 0; looks += 1) {
    await clock.sleep(NEXT_LOOK_AFTER_MS);
    const names = new Set(standing.map(nameOf));
    const moving = new Set(standing.map(({ subject }) => subject));
    const again = await look(subjects.filter((subject) => moving.has(subject)));
    standing = again.differences.filter((difference) => names.has(nameOf(difference)));
  }
  return { events: first.events, differences: standing };
}
