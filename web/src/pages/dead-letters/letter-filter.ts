import type { Schema } from '../../api/schema.ts';

export type LetterState = Schema<'LetterState'>;
export type RoleName = Schema<'RoleName'>;
export type Selection = Schema<'LetterSelection'>;

export const ROLES: readonly RoleName[] = ['archive', 'progression', 'leaderboard', 'fairness'];
export const STATES: readonly LetterState[] = ['open', 'redriven', 'applied', 'corrected', 'dropped'];

export const STATE_COLORS: Record<LetterState, string> = {
  open: 'red',
  redriven: 'yellow',
  applied: 'green',
  corrected: 'green',
  dropped: 'gray',
};

/** Which letters the page shows, as its address says it. */
export interface LetterFilter {
  readonly role?: RoleName;
  readonly state?: LetterState;
  readonly reason?: string;
  readonly playerId?: string;
}

const oneOf = <T extends string>(names: readonly T[], name: string | undefined): T | undefined =>
  names.find((one) => one === name);

/** `state` absent is `open`, and `all` is every one. What no filter can be is left out. */
export function filterOf(address: Readonly<Record<string, string | undefined>>): LetterFilter {
  const role = oneOf(ROLES, address['role']);
  const state = address['state'] === undefined ? 'open' : oneOf(STATES, address['state']);
  const { reason, player } = address;
  return {
    ...(role !== undefined && { role }),
    ...(state !== undefined && { state }),
    ...(reason !== undefined && /^[a-z0-9_]{1,64}$/.test(reason) && { reason }),
    ...(player !== undefined && { playerId: player }),
  };
}

/** Only open letters are decided about, so a selection has no state. */
export const selectionOf = ({ role, reason, playerId }: LetterFilter): Selection => ({
  ...(role !== undefined && { role }),
  ...(reason !== undefined && { reason }),
  ...(playerId !== undefined && { playerId }),
});
