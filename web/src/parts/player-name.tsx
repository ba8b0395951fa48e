import { Text, type TextProps } from '@mantine/core';
import { useGame } from '../shell/game.ts';
import { GoesTo } from './goes-to.tsx';
import { visible, visibleName } from './visible.ts';

const NAME_STYLE = { overflowWrap: 'anywhere', unicodeBidi: 'isolate' } as const;

/** What a player, or anything else that somebody named, is called: text in its own direction, and no two look alike for what they hide. */
export function Name({ children, ...look }: TextProps & { readonly children: string }) {
  return (
    <Text span inherit dir="auto" {...look} style={NAME_STYLE}>
      {visibleName(children)}
    </Text>
  );
}

/** What somebody wrote, a reason or a note: text in its own direction, whose spaces may be many. */
export function Said({ children }: { readonly children: string }) {
  return (
    <Text span inherit dir="auto" style={NAME_STYLE}>
      {visible(children)}
    </Text>
  );
}

/** The name of a player, which leads to their page. */
export function PlayerName({ id }: { readonly id: string }) {
  const { to } = useGame();
  return (
    <GoesTo href={to('players', id)} inherit style={NAME_STYLE}>
      <Name>{id}</Name>
    </GoesTo>
  );
}
