import { useParams } from 'wouter';
import { OnePlayer } from './one-player.tsx';
import { PlayerSearch } from './player-search.tsx';

/** Players by the beginning of their id, or one of them. */
export function Players() {
  const { player } = useParams<{ player?: string }>();
  return player === undefined ? <PlayerSearch /> : <OnePlayer key={player} playerId={player} />;
}
