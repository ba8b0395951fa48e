import { Alert, Badge, Button, Group, Stack, Text } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api, dataOf, OWN_PAGE } from '../../api/client.ts';
import type { Schema } from '../../api/schema.ts';
import { Decide } from '../../parts/decide.tsx';
import { Facts } from '../../parts/facts.tsx';
import { count } from '../../parts/figures.ts';
import { Moment } from '../../parts/moment.tsx';
import { Name, PlayerName, Said } from '../../parts/player-name.tsx';
import { Raw } from '../../parts/raw.tsx';
import { useGame } from '../../shell/game.ts';

type Receipt = Schema<'Receipt'>;

/** One receipt as it was issued, and whether it still holds. */
export function OneReceipt({ receipt }: { readonly receipt: Receipt }) {
  const { may } = useGame();
  const isVoid = receipt.revokedAt !== null;
  return (
    <Stack>
      <Group justify="space-between">
        <Group gap="xs">
          <Text fw={600}>
            {count(receipt.amount)} <Name>{receipt.reward}</Name>
          </Text>
          <Badge color={isVoid ? 'red' : 'green'} variant="light">
            {isVoid ? 'revoked' : 'holds'}
          </Badge>
        </Group>
        {!isVoid && may('operator') && <Revoke receipt={receipt} />}
      </Group>
      {receipt.revokedAt !== null && (
        <Alert color="red" title="Declared void for good">
          By <Name>{receipt.revokedBy ?? 'somebody'}</Name>, <Moment at={receipt.revokedAt} />:{' '}
          <Said>{receipt.revokedReason ?? ''}</Said>
        </Alert>
      )}
      <Facts
        facts={[
          ['Player', <PlayerName id={receipt.playerId} />],
          ['Cause', <Name>{receipt.cause}</Name>],
          ['When it happened', <Moment at={receipt.issuedAt} />],
          ['Told by', receipt.src === 'server' ? 'a server of the game' : 'a game client'],
          ['Event', <Name>{receipt.eventId}</Name>],
          ['Signed with key', receipt.kid],
        ]}
      />
      <Raw text={receipt.jws} label="The receipt, byte for byte" height={160} />
    </Stack>
  );
}

function Revoke({ receipt: { receiptId, playerId } }: { readonly receipt: Receipt }) {
  const { gameId } = useGame();
  const client = useQueryClient();
  const [isOpen, setOpen] = useState(false);
  const revoke = useMutation({
    mutationFn: (reason: string) =>
      dataOf(
        api.POST('/admin/v1/games/{gameId}/receipts/{receiptId}/revoke', {
          params: { path: { gameId, receiptId }, header: OWN_PAGE },
          body: { reason },
        }),
      ),
    onSuccess: async (voided) => {
      setOpen(false);
      client.setQueryData(['receipt', gameId, receiptId], voided);
      await client.invalidateQueries({ queryKey: ['revoked receipts', gameId] });
    },
  });
  return (
    <>
      <Button color="red" variant="light" size="compact-md" onClick={() => setOpen(true)}>
        Revoke
      </Button>
      <Decide
        isOpen={isOpen}
        onClose={() => setOpen(false)}
        title="Revoke this receipt?"
        action="Revoke for good"
        isDangerous
        needsReason
        isBusy={revoke.isPending}
        error={revoke.error}
        onDecide={(reason) => revoke.mutate(reason)}
      >
        Whoever checks it from now on is told that it is void. The reward of <Name>{playerId}</Name> stays in
        the books. It cannot be taken back.
      </Decide>
    </>
  );
}
