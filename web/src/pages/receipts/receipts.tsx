import { Button, Group, Stack, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState, type SubmitEvent } from 'react';
import { useLocation } from 'wouter';
import { api, dataOf } from '../../api/client.ts';
import { DataState } from '../../parts/data-state.tsx';
import { GoesTo } from '../../parts/goes-to.tsx';
import { Page } from '../../parts/page.tsx';
import { Panel } from '../../parts/panel.tsx';
import { useGame } from '../../shell/game.ts';
import { useThing } from '../../shell/thing.ts';
import { NewestReceipts } from './newest-receipts.tsx';
import { OneReceipt } from './one-receipt.tsx';
import { RevokedReceipts } from './revoked-receipts.tsx';
import { VerifyReceipt } from './verify-receipt.tsx';

const MONO = 'var(--mantine-font-family-monospace)';

/** Signed proof of granted rewards: looked up, checked, declared void. */
export function Receipts() {
  const { gameId, to } = useGame();
  const receiptId = useThing();
  return (
    <Page
      title="Receipts"
      about="A receipt is the signed proof of one granted reward. Each player's receipts stand on the player's page."
      actions={receiptId !== undefined && <GoesTo href={to('receipts')}>Back to all</GoesTo>}
    >
      <LookUp key={receiptId} receiptId={receiptId ?? ''} />
      {receiptId !== undefined && <Found gameId={gameId} receiptId={receiptId} />}
      {receiptId === undefined && <NewestReceipts />}
      <VerifyReceipt />
      <RevokedReceipts />
    </Page>
  );
}

function LookUp({ receiptId }: { readonly receiptId: string }) {
  const { to } = useGame();
  const [, navigate] = useLocation();
  const [wanted, setWanted] = useState(receiptId);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    navigate(to('receipts', wanted.trim()));
  };
  return (
    <form onSubmit={submit}>
      <Group align="flex-end">
        <TextInput
          label="Receipt id"
          description="22 letters, digits, - and _; a receipt has it as its jti."
          required
          withAsterisk={false}
          pattern="\s*[A-Za-z0-9_\-]{22}\s*"
          title="22 letters, digits, - and _"
          flex={1}
          maw={420}
          styles={{ input: { fontFamily: MONO } }}
          value={wanted}
          onChange={(event) => setWanted(event.currentTarget.value)}
        />
        <Button type="submit">Look it up</Button>
      </Group>
    </form>
  );
}

function Found({ gameId, receiptId }: { readonly gameId: string; readonly receiptId: string }) {
  const receipt = useQuery({
    queryKey: ['receipt', gameId, receiptId],
    queryFn: () =>
      dataOf(
        api.GET('/admin/v1/games/{gameId}/receipts/{receiptId}', {
          params: { path: { gameId, receiptId } },
        }),
      ),
  });
  return (
    <Panel title="The receipt">
      <Stack>
        <DataState query={receipt}>{(data) => <OneReceipt receipt={data} />}</DataState>
      </Stack>
    </Panel>
  );
}
