import { Table, Text } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { api, dataOf } from '../../api/client.ts';
import { DataState } from '../../parts/data-state.tsx';
import { decimal } from '../../parts/figures.ts';
import { LiveMark } from '../../parts/live-mark.tsx';
import { Moment } from '../../parts/moment.tsx';
import { More } from '../../parts/more.tsx';
import { Name, PlayerName } from '../../parts/player-name.tsx';
import { useLive } from '../../parts/use-live.ts';
import { usePages } from '../../parts/use-pages.ts';
import { useGame } from '../../shell/game.ts';
import type { Finding } from './case-state.ts';

const POLL_MS = 10_000;

/** What was found, latest first. */
export function Findings() {
  const { gameId } = useGame();
  const client = useQueryClient();
  const queryKey = ['findings', gameId];
  const live = useLive(gameId, [{ topic: 'findings' }], () => void client.invalidateQueries({ queryKey }));
  const pages = usePages<Finding>(
    queryKey,
    (cursor) =>
      dataOf(
        api.GET('/admin/v1/games/{gameId}/findings', {
          params: { path: { gameId }, query: cursor === undefined ? {} : { cursor } },
        }),
      ),
    live === 'live' ? {} : { refetchIntervalMs: POLL_MS },
  );
  return (
    <>
      <div>
        <LiveMark state={live} />
      </div>
      <DataState query={pages.list} isEmpty={(items) => items.length === 0} empty="Nothing was found.">
        {(items) => (
          <Table.ScrollContainer minWidth={520}>
            <Table aria-label="Findings">
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>Player</Table.Th>
                  <Table.Th>Metric</Table.Th>
                  <Table.Th ta="right">Value</Table.Th>
                  <Table.Th ta="right">z</Table.Th>
                  <Table.Th>When</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {items.map((finding) => (
                  <Table.Tr key={finding.findingId}>
                    <Table.Td>
                      <PlayerName id={finding.playerId} />
                    </Table.Td>
                    <Table.Td>
                      {finding.metric}
                      {finding.partition !== null && (
                        <Text size="xs" c="dimmed">
                          <Name>{finding.partition}</Name>
                        </Text>
                      )}
                    </Table.Td>
                    <Table.Td ta="right">{decimal(finding.value)}</Table.Td>
                    <Table.Td ta="right">{decimal(finding.z)}</Table.Td>
                    <Table.Td>
                      <Moment at={finding.at} />
                    </Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </Table.ScrollContainer>
        )}
      </DataState>
      <More {...pages} />
    </>
  );
}
