import { useParams } from 'wouter';
import { partOf } from './address.ts';
import { mayAct, type GameRole } from './roles.ts';
import { useMe } from './session.ts';

/** The game of the page, what the viewer may do in it, and links to its other places. */
export function useGame() {
  const { game: gameId = '' } = useParams<{ game?: string }>();
  const role = useMe().memberships.find((one) => one.gameId === gameId)?.role ?? null;
  return {
    gameId,
    role,
    may: (needed: GameRole) => mayAct(role, needed),
    /** The address of a place of this game. */
    to: (...parts: readonly string[]) => `/g/${[gameId, ...parts].map(partOf).join('/')}`,
  };
}
