import type { BoardView } from './view.js';

export interface HideRequest {
  readonly gameId: string;
  readonly playerId: string;
  readonly hidden: boolean;
  /** Who does it, as the audit names them. */
  readonly by: string;
  readonly reason: string | null;
}

export interface PlayerStateStore {
  /** Commits the state; false when it stood already. */
  setHidden(request: HideRequest): Promise<boolean>;
}

/**
 * Takes a player off every board, or puts them back exactly where their scores are. Scores go on counting meanwhile.
 * Calling it again heals a call that ended between its commit and the view.
 *
 * @throws OutageError when the truth cannot be reached; the outcome may be unknown
 */
export async function setHidden(
  { players, view }: { readonly players: PlayerStateStore; readonly view: BoardView },
  request: HideRequest,
): Promise<boolean> {
  const changed = await players.setHidden(request);
  await view.refreshPlayer(request.gameId, request.playerId);
  return changed;
}
