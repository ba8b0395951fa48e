/** What a person may do in a game; each includes those before it. */
export const GAME_ROLES = ['viewer', 'analyst', 'operator', 'admin'] as const;
export type GameRole = (typeof GAME_ROLES)[number];

export const mayAct = (held: GameRole | null, needed: GameRole): boolean =>
  held !== null && GAME_ROLES.indexOf(held) >= GAME_ROLES.indexOf(needed);
