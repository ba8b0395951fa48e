import { Badge, Table, TextInput } from '@mantine/core';
import { useDebouncedCallback } from '@mantine/hooks';
import { IconSearch } from '@tabler/icons-react';
import { useState } from 'react';
import { api, dataOf } from '../../api/client.ts';
import type { Schema } from '../../api/schema.ts';
import { DataState } from '../../parts/data-state.tsx';
import { count } from '../../parts/figures.ts';
import { Moment } from '../../parts/moment.tsx';
import { More } from '../../parts/more.tsx';
import { Page } from '../../parts/page.tsx';
import { PlayerName } from '../../parts/player-name.tsx';
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
      <DataState
        query={pages.list}
        isEmpty={(items) => items.length === 0}
        empty={
          prefix === ''
            ? 'No player has sent an event yet.'
            : `No player’s id begins with “${prefix}”. Ids are compared letter by letter, great and small apart.`
        }
      >
        {(items) => (
          <Table.ScrollContainer minWidth={320}>
            <Table verticalSpacing="xs" aria-label="Players">
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>Player</Table.Th>
                  <Table.Th ta="right">Events</Table.Th>
                  <Table.Th>Last seen</Table.Th>
                  <Table.Th visibleFrom="sm">First seen</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {items.map((player) => (
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
                ))}
              </Table.Tbody>
            </Table>
          </Table.ScrollContainer>
        )}
      </DataState>
      <More {...pages} />
    </Page>
  );
}
