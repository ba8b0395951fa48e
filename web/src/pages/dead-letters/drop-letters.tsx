import { Button, Group, Stack, Text } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { api, dataOf, OWN_PAGE } from '../../api/client.ts';
import { count } from '../../parts/figures.ts';
import { useGame } from '../../shell/game.ts';
import { FirstCount } from './first-count.tsx';
import type { Selection } from './letter-filter.ts';
import { lettersOf } from './redrive-letters.tsx';

/** Decides that open letters never take effect: first how many, then for good. */
export function DropLetters({
  select,
  onClose,
}: {
  readonly select: Selection;
  readonly onClose: () => void;
}) {
  const { gameId } = useGame();
  const client = useQueryClient();
  const ask = (dryRun: boolean) => (reason: string) =>
    dataOf(
      api.POST('/admin/v1/games/{gameId}/dead-letters/drop', {
        params: { path: { gameId }, header: OWN_PAGE },
        body: { dryRun, reason, select },
      }),
    );
  const dryRun = useMutation({ mutationFn: ask(true) });
  const drop = useMutation({
    mutationFn: ask(false),
    onSuccess: () => client.invalidateQueries({ queryKey: ['letters', gameId] }),
  });
  const { data } = dryRun;
  return (
    <FirstCount
      title="Drop"
      about="Their events never take effect in their role, not by a redrive and not by a replay. It cannot be taken back."
      told={data === undefined ? null : `${lettersOf(data.letters, data.truncated)} would be dropped.`}
      action="Drop for good"
      isDangerous
      canAct={(data?.letters ?? 0) > 0}
      outcome={
        drop.data === undefined ? null : (
          <Stack>
            <Text role="status">
              {count(drop.data.dropped)} dropped; {count(drop.data.applied)} had taken effect and are closed
              as such.
              {drop.data.truncated && ' More are open: drop again for the rest.'}
            </Text>
            <Group justify="flex-end">
              <Button onClick={onClose}>Close</Button>
            </Group>
          </Stack>
        )
      }
      isBusy={dryRun.isPending || drop.isPending}
      error={drop.error ?? dryRun.error}
      onCount={dryRun.mutate}
      onAct={drop.mutate}
      onClose={onClose}
    />
  );
}
