import { Text, type TextProps } from '@mantine/core';
import { useGame } from '../shell/game.ts';
import { GoesTo } from './goes-to.tsx';

const NAME_STYLE = { overflowWrap: 'anywhere', unicodeBidi: 'isolate' } as const;

/** What a player, or anything else that a client named, is called: text, whatever it holds, in its own direction. */
export function Name({ children, ...look }: TextProps & { readonly children: string }) {
  return (
    <Text span inherit dir="auto" {...look} style={NAME_STYLE}>
      {children}
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
