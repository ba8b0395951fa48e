import { Switch, Table, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api, dataOf } from '../../api/client.ts';
import type { Schema } from '../../api/schema.ts';
import { DataState } from '../../parts/data-state.tsx';
import { count } from '../../parts/figures.ts';
import { GoesTo } from '../../parts/goes-to.tsx';
import { Panel } from '../../parts/panel.tsx';
import { Name } from '../../parts/player-name.tsx';
import { figures, Sheet } from '../../parts/sheet.tsx';
import { useGame } from '../../shell/game.ts';

type Place = Schema<'PlayerPlace'>;

const POLL_MS = 10_000;

/** Where a player stands, on which boards. */
export function PlayerPlaces({
  playerId,
  isHidden,
}: {
  readonly playerId: string;
  readonly isHidden: boolean;
}) {
  const { gameId } = useGame();
  const [withPast, setWithPast] = useState(false);
  const places = useQuery({
    queryKey: ['player', gameId, playerId, 'boards'],
    queryFn: () =>
      dataOf(
        api.GET('/admin/v1/games/{gameId}/players/{playerId}/boards', {
          params: { path: { gameId, playerId } },
        }),
      ),
    refetchInterval: POLL_MS,
  });
  const seen = (items: readonly Place[]) => items.filter(({ isCurrent }) => isCurrent || withPast);
  return (
    <Panel
      title="On the boards"
      {...(isHidden ? { about: 'Hidden: the scores stand, the ranks do not.' } : {})}
      aside={
        <Switch
          size="xs"
          label="Past cycles too"
          checked={withPast}
          onChange={(event) => setWithPast(event.currentTarget.checked)}
        />
      }
    >
      <DataState
        query={places}
        isEmpty={({ items }) => seen(items).length === 0}
        empty={withPast ? 'On no board.' : 'On no board of a current cycle.'}
      >
        {({ items, truncated }) => (
          <>
            <Sheet
              label="Places on the boards"
              columns={['Board', 'Cycle', figures('Score'), figures('Rank')]}
              minWidth={300}
              height={560}
            >
              {seen(items).map((place) => (
                <PlaceRow
                  key={`${place.board} ${place.window} ${place.cycle} ${place.partition ?? ''}`}
                  place={place}
                  playerId={playerId}
                />
              ))}
            </Sheet>
            {truncated && (
              <Text size="xs" c="dimmed">
                There are more places than are shown here.
              </Text>
            )}
          </>
        )}
      </DataState>
    </Panel>
  );
}

function PlaceRow({ place, playerId }: { readonly place: Place; readonly playerId: string }) {
  const { to } = useGame();
  const { board, window, cycle, partition, isCurrent, rank, total } = place;
  const query = new URLSearchParams({
    window,
    ...(isCurrent ? {} : { cycle }),
    ...(partition === null ? {} : { partition }),
    ...(rank === null ? {} : { around: playerId }),
  });
  return (
    <Table.Tr>
      <Table.Td>
        <GoesTo href={`${to('boards', board)}?${query.toString()}`}>{board}</GoesTo>
        {partition !== null && (
          <Text size="xs" c="dimmed">
            <Name>{partition}</Name>
          </Text>
        )}
      </Table.Td>
      <Table.Td>
        {window}
        <Text size="xs" c="dimmed">
          {cycle === window ? '' : cycle}
        </Text>
      </Table.Td>
      <Table.Td ta="right">{count(place.score)}</Table.Td>
      <Table.Td ta="right" style={{ whiteSpace: 'nowrap' }}>
        {rank === null ? '—' : `${count(rank)}${total === null ? '' : ` of ${count(total)}`}`}
      </Table.Td>
    </Table.Tr>
  );
}
