import { Badge, Loader, Table, Text, Tooltip } from '@mantine/core';
import { IconAlertTriangle, IconBan, IconShieldCheck, IconShieldX } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { api, dataOf, OWN_PAGE } from '../../api/client.ts';
import type { Schema } from '../../api/schema.ts';
import { DataState } from '../../parts/data-state.tsx';
import { count } from '../../parts/figures.ts';
import { GoesTo } from '../../parts/goes-to.tsx';
import { Moment } from '../../parts/moment.tsx';
import { More } from '../../parts/more.tsx';
import { Panel } from '../../parts/panel.tsx';
import { Name } from '../../parts/player-name.tsx';
import { usePages } from '../../parts/use-pages.ts';
import { useGame } from '../../shell/game.ts';

type Receipt = Schema<'Receipt'>;

/** Each of a page is verified as it is shown, so a page is small. */
const ROWS = 10;

/** The rewards of a player, each with its signature checked anew. */
export function PlayerReceipts({
  playerId,
  title = 'Receipts',
}: {
  readonly playerId: string;
  readonly title?: ReactNode;
}) {
  const { gameId } = useGame();
  const pages = usePages<Receipt>(['player', gameId, playerId, 'receipts'], (cursor) =>
    dataOf(
      api.GET('/admin/v1/games/{gameId}/players/{playerId}/receipts', {
        params: {
          path: { gameId, playerId },
          query: { limit: ROWS, ...(cursor === undefined ? {} : { cursor }) },
        },
      }),
    ),
  );
  return (
    <Panel title={title} about="What was granted, and for what. Every signature is checked as it is shown.">
      <DataState query={pages.list} isEmpty={(items) => items.length === 0} empty="Nothing was granted yet.">
        {(items) => (
          <Table.ScrollContainer minWidth={480}>
            <Table aria-label="Receipts">
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>Reward</Table.Th>
                  <Table.Th ta="right">Amount</Table.Th>
                  <Table.Th>For</Table.Th>
                  <Table.Th>Verified</Table.Th>
                  <Table.Th>When</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {items.map((receipt) => (
                  <ReceiptRow key={receipt.receiptId} receipt={receipt} />
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

function ReceiptRow({ receipt }: { readonly receipt: Receipt }) {
  const { to } = useGame();
  return (
    <Table.Tr>
      <Table.Td>
        <GoesTo href={to('receipts', receipt.receiptId)}>
          <Name>{receipt.reward}</Name>
        </GoesTo>
      </Table.Td>
      <Table.Td ta="right">{count(receipt.amount)}</Table.Td>
      <Table.Td>
        <Name>{receipt.cause}</Name>
        {receipt.src === 'client' && (
          <Text size="xs" c="dimmed">
            told by a client
          </Text>
        )}
      </Table.Td>
      <Table.Td>
        <Verified receipt={receipt} />
      </Table.Td>
      <Table.Td>
        <Moment at={receipt.issuedAt} />
      </Table.Td>
    </Table.Tr>
  );
}

function Verified({ receipt: { receiptId, jws, revokedReason, revokedAt } }: { readonly receipt: Receipt }) {
  const { gameId } = useGame();
  const verdict = useQuery({
    queryKey: ['verified', gameId, receiptId, revokedAt],
    queryFn: () =>
      dataOf(
        api.POST('/admin/v1/games/{gameId}/receipts/verify', {
          params: { path: { gameId }, header: OWN_PAGE },
          body: { jws },
        }),
      ),
    staleTime: Infinity,
  });
  if (verdict.isPending) return <Loader size="xs" role="status" aria-label="Checking the signature" />;
  if (verdict.data === undefined)
    return (
      <Badge color="yellow" variant="light" leftSection={<IconAlertTriangle size={12} aria-hidden />}>
        not checked
      </Badge>
    );
  const { valid, revoked, code } = verdict.data;
  if (valid)
    return (
      <Badge color="green" variant="light" leftSection={<IconShieldCheck size={12} aria-hidden />}>
        valid
      </Badge>
    );
  if (revoked === true)
    return (
      <Tooltip label={revokedReason ?? 'Declared void'} events={{ hover: true, focus: true, touch: true }}>
        <Badge color="gray" variant="light" tabIndex={0} leftSection={<IconBan size={12} aria-hidden />}>
          revoked
        </Badge>
      </Tooltip>
    );
  return (
    <Badge color="red" variant="light" leftSection={<IconShieldX size={12} aria-hidden />}>
      {code?.replaceAll('_', ' ') ?? 'invalid'}
    </Badge>
  );
}
