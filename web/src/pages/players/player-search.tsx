import { Badge, Table, TextInput } from '@mantine/core';
import { useDebouncedCallback } from '@mantine/hooks';
import { IconSearch } from '@tabler/icons-react';
import { useState } from 'react';
import { api, dataOf } from '../../api/client.ts';
import type { Schema } from '../../api/schema.ts';
import { count } from '../../parts/figures.ts';
import { Listing } from '../../parts/listing.tsx';
import { Moment } from '../../parts/moment.tsx';
import { Page } from '../../parts/page.tsx';
import { PlayerName } from '../../parts/player-name.tsx';
import { figures } from '../../parts/sheet.tsx';
import { usePages } from '../../parts/use-pages.ts';
import { useQueryState } from '../../parts/use-query-state.ts';
import { useGame } from '../../shell/game.ts';

const TYPING_MS = 250;

/** Every player, or those whose id begins with what was typed. */
export function PlayerSearch() {
  const { gameId } = useGame();
  const [{ prefix = '' }, choose] = useQueryState(['prefix']);
  const [typed, setTyped] = useState(prefix);
  const search = useDebouncedCallback((text: string) => choose({ prefix: text }), TYPING_MS);
  const pages = usePages<Schema<'PlayerItem'>>(['players', gameId, prefix], (cursor) =>
    dataOf(
      api.GET('/admin/v1/games/{gameId}/players', {
        params: {
          path: { gameId },
          query: { ...(prefix === '' ? {} : { prefix }), ...(cursor === undefined ? {} : { cursor }) },
        },
      }),
    ),
  );
  return (
    <Page title="Players" about="Whoever sent an event. Search by the beginning of an id.">
      <TextInput
        label="Id begins with"
        type="search"
        maw={360}
        dir="auto"
        autoComplete="off"
        spellCheck={false}
        leftSection={<IconSearch size={16} aria-hidden />}
        value={typed}
        onChange={(event) => {
          setTyped(event.currentTarget.value);
          search(event.currentTarget.value);
        }}
      />
      <Listing
        pages={pages}
        empty={
          prefix === ''
            ? 'No player has sent an event yet.'
            : `No player’s id begins with “${prefix}”. Ids are compared letter by letter, great and small apart.`
        }

        label="Players"
        columns={['Player', figures('Events'), 'Last seen', { name: 'First seen', visibleFrom: 'sm' }]}
        minWidth={320}
        verticalSpacing="xs"
        row={(player) => (
          <Table.Tr key={player.playerId}>
            <Table.Td>
              <PlayerName id={player.playerId} />{' '}
              {player.hidden && (
                <Badge size="xs" color="gray">
                  hidden
                </Badge>
              )}
            </Table.Td>
            <Table.Td ta="right">{count(player.events)}</Table.Td>
            <Table.Td>
              <Moment at={player.lastSeenAt} />
            </Table.Td>
            <Table.Td visibleFrom="sm">
              <Moment at={player.firstSeenAt} />
            </Table.Td>
          </Table.Tr>
        )}
      />
    </Page>
  );
}
