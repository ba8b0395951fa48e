import { Select } from '@mantine/core';
import { useLocation } from 'wouter';
import { useGame } from './game.ts';
import { useMe } from './session.ts';

/** The game of the page, to be changed; only who has a role in several needs it. */
export function GameSelect() {
  const { memberships } = useMe();
  const { gameId } = useGame();
  const [, navigate] = useLocation();
  return (
    <Select
      aria-label="Game"
      size="xs"
      w={150}
      searchable
      allowDeselect={false}
      data={memberships.map((one) => one.gameId)}
      value={gameId}
      onChange={(name) => name !== null && navigate(`/g/${encodeURIComponent(name)}/overview`)}
    />
  );
}
