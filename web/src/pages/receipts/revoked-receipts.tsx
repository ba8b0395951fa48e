import { Table } from '@mantine/core';
import { api, dataOf } from '../../api/client.ts';
import type { Schema } from '../../api/schema.ts';
import { count } from '../../parts/figures.ts';
import { GoesTo } from '../../parts/goes-to.tsx';
import { Listing } from '../../parts/listing.tsx';
import { Moment } from '../../parts/moment.tsx';
import { Panel } from '../../parts/panel.tsx';
import { Name, PlayerName, Said } from '../../parts/player-name.tsx';
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
      <Listing
        pages={pages}
        empty="No receipt was ever revoked in this game."

        label="Revoked receipts"
        columns={['Receipt', 'Player', 'Reward', 'Revoked', 'By', 'Why']}
        minWidth={720}
        verticalSpacing="sm"
        row={(receipt) => (
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
            <Table.Td>
              <Name>{receipt.revokedBy ?? ''}</Name>
            </Table.Td>
            <Table.Td>
              <Said>{receipt.revokedReason ?? ''}</Said>
            </Table.Td>
          </Table.Tr>
        )}
      />
    </Panel>
  );
}
