import { Table, Text } from '@mantine/core';
import { api, dataOf } from '../../api/client.ts';
import type { Schema } from '../../api/schema.ts';
import { DataState } from '../../parts/data-state.tsx';
import { decimal } from '../../parts/figures.ts';
import { GoesTo } from '../../parts/goes-to.tsx';
import { Moment } from '../../parts/moment.tsx';
import { More } from '../../parts/more.tsx';
import { Panel } from '../../parts/panel.tsx';
import { Name } from '../../parts/player-name.tsx';
import { usePages } from '../../parts/use-pages.ts';
import { useGame } from '../../shell/game.ts';

const POLL_MS = 15_000;
const ROWS = 200;
const SHOWN = 10;

/** What was found about a player, latest first; the same answer for whoever asks on one page. */
export function useFindings(playerId: string) {
  const { gameId } = useGame();
  return usePages<Schema<'Finding'>>(
    ['player', gameId, playerId, 'findings'],
    (cursor) =>
      dataOf(
        api.GET('/admin/v1/games/{gameId}/players/{playerId}/findings', {
          params: {
            path: { gameId, playerId },
            query: { limit: ROWS, ...(cursor === undefined ? {} : { cursor }) },
          },
        }),
      ),
    { refetchIntervalMs: POLL_MS },
  );
}

export function PlayerFindings({ playerId }: { readonly playerId: string }) {
  const { to, may } = useGame();
  const findings = useFindings(playerId);
  return (
    <Panel title="Findings" about="Events that do not fit what this player did before.">
      <DataState query={findings.list} isEmpty={(items) => items.length === 0} empty="Nothing was found.">
        {(items) => (
          <Table.ScrollContainer minWidth={300} mah={SHOWN * 42}>
            <Table aria-label="Findings" stickyHeader>
              <Table.Thead>
                <Table.Tr>
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
                      {finding.caseId !== null && may('analyst') ? (
                        <GoesTo href={to('fairness', String(finding.caseId))}>{finding.metric}</GoesTo>
                      ) : (
                        finding.metric
                      )}
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
      <More {...findings} />
    </Panel>
  );
}
