import { Table } from '@mantine/core';
import { api, dataOf } from '../../api/client.ts';
import type { Schema } from '../../api/schema.ts';
import { Heads } from '../../parts/heads.tsx';
import { DataState } from '../../parts/data-state.tsx';
import { count } from '../../parts/figures.ts';
import { GoesTo } from '../../parts/goes-to.tsx';
import { Moment } from '../../parts/moment.tsx';
import { More } from '../../parts/more.tsx';
import { Panel } from '../../parts/panel.tsx';
import { Name, PlayerName } from '../../parts/player-name.tsx';
import { usePages } from '../../parts/use-pages.ts';
import { useGame } from '../../shell/game.ts';

/** What was declared void, as the gateway tells it to everybody. */
export function RevokedReceipts() {
  const { gameId, to } = useGame();
  const pages = usePages<Schema<'Receipt'>>(['revoked receipts', gameId], (cursor) =>
    dataOf(
      api.GET('/admin/v1/games/{gameId}/revoked-receipts', {
        params: { path: { gameId }, query: cursor === undefined ? {} : { cursor } },
      }),
    ),
  );
  return (
    <Panel title="Revoked" about="Oldest first; game servers read the same list from the gateway.">
      <DataState
        query={pages.list}
        isEmpty={(items) => items.length === 0}
        empty="No receipt was ever revoked in this game."
      >
        {(items) => (
          <Table.ScrollContainer minWidth={720}>
            <Table verticalSpacing="sm" aria-label="Revoked receipts">
              <Table.Thead>
                <Table.Tr>
                  <Heads names={['Receipt', 'Player', 'Reward', 'Revoked', 'By', 'Why']} />
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {items.map((receipt) => (
                  <Table.Tr key={receipt.receiptId}>
                    <Table.Td>
                      <GoesTo href={to('receipts', receipt.receiptId)} ff="monospace">
                        {receipt.receiptId}
                      </GoesTo>
                    </Table.Td>
                    <Table.Td>
                      <PlayerName id={receipt.playerId} />
                    </Table.Td>
                    <Table.Td>
                      {count(receipt.amount)} <Name>{receipt.reward}</Name>
                    </Table.Td>
                    <Table.Td>{receipt.revokedAt !== null && <Moment at={receipt.revokedAt} />}</Table.Td>
                    <Table.Td>{receipt.revokedBy}</Table.Td>
                    <Table.Td style={{ overflowWrap: 'anywhere' }}>{receipt.revokedReason}</Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </Table.ScrollContainer>
        )}
      </DataState>
      <More {...pages} />
    </Panel>
  );
}
