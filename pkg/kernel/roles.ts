/** The four consumer groups. Each takes its own copy of every event. */
export const ROLES = ['archive', 'progression', 'leaderboard', 'fairness'] as const;
export type RoleName = (typeof ROLES)[number];

export const isRoleName = (text: string): text is RoleName => (ROLES as readonly string[]).includes(text);
