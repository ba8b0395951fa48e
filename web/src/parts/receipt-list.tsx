import { Badge, Loader, Table, Text, Tooltip } from '@mantine/core';
import { IconAlertTriangle, IconBan, IconShieldCheck, IconShieldX } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { api, dataOf, OWN_PAGE } from '../api/client.ts';
import type { Schema } from '../api/schema.ts';
import { useGame } from '../shell/game.ts';
import { count } from './figures.ts';
import { GoesTo } from './goes-to.tsx';
import { Listing } from './listing.tsx';
import { Moment } from './moment.tsx';
import { Panel } from './panel.tsx';
import { Name, PlayerName } from './player-name.tsx';
import { figures } from './sheet.tsx';
import { usePages } from './use-pages.ts';
import { visible } from './visible.ts';

type Receipt = Schema<'Receipt'>;

/** Each of a page is verified as it is shown, so a page is small. */
const ROWS = 10;

export interface ReceiptListProps {
  readonly title: string;
  readonly queryKey: readonly unknown[];
  readonly load: (query: {
    readonly limit: number;
    readonly cursor?: string;
  }) => Promise<Schema<'ReceiptPage'>>;
  /** Where they are of several. */
  readonly withPlayers?: boolean;
}

/** Rewards that were granted, each with its signature checked anew. */
export function ReceiptList({ title, queryKey, load, withPlayers = false }: ReceiptListProps) {
  const pages = usePages<Receipt>(queryKey, (cursor) =>
    load({ limit: ROWS, ...(cursor === undefined ? {} : { cursor }) }),
  );
  return (
    <Panel title={title} about="What was granted, and for what. Every signature is checked as it is shown.">
      <Listing
        pages={pages}
        empty="Nothing was granted yet."
        label="Receipts"
        columns={['Reward', figures('Amount'), ...(withPlayers ? ['Player'] : []), 'For', 'Verified', 'When']}
        minWidth={withPlayers ? 640 : 480}
        row={(receipt) => <ReceiptRow key={receipt.receiptId} receipt={receipt} withPlayer={withPlayers} />}
      />
    </Panel>
  );
}

function ReceiptRow({ receipt, withPlayer }: { readonly receipt: Receipt; readonly withPlayer: boolean }) {
  const { to } = useGame();
  return (
    <Table.Tr>
      <Table.Td>
        <GoesTo href={to('receipts', receipt.receiptId)}>
          <Name>{receipt.reward}</Name>
        </GoesTo>
      </Table.Td>
      <Table.Td ta="right">{count(receipt.amount)}</Table.Td>
      {withPlayer && (
        <Table.Td>
          <PlayerName id={receipt.playerId} />
        </Table.Td>
      )}
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
      <Tooltip
        label={visible(revokedReason ?? 'Declared void')}
        events={{ hover: true, focus: true, touch: true }}
      >
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
