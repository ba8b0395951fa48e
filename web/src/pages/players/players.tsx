import { useThing } from '../../shell/thing.ts';
import { OnePlayer } from './one-player.tsx';
import { PlayerSearch } from './player-search.tsx';

/** Players by the beginning of their id, or one of them. */
export function Players() {
  const player = useThing();
  return player === undefined ? <PlayerSearch /> : <OnePlayer key={player} playerId={player} />;
}
