import { Button, Group, Progress, Stack, Text } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { api, dataOf, OWN_PAGE } from '../../api/client.ts';
import { DataState } from '../../parts/data-state.tsx';
import { count } from '../../parts/figures.ts';
import { useGame } from '../../shell/game.ts';
import { FirstCount } from './first-count.tsx';
import type { Selection } from './letter-filter.ts';

const LOOK_MS = 1_000;

/** Sends open letters to their roles again: first how many, then how far it is. */
export function RedriveLetters({
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
      api.POST('/admin/v1/games/{gameId}/dead-letters/redrive', {
        params: { path: { gameId }, header: OWN_PAGE },
        body: { dryRun, reason, select },
      }),
    );
  const dryRun = useMutation({ mutationFn: ask(true) });
  const redrive = useMutation({
    mutationFn: ask(false),
    onSuccess: () => client.invalidateQueries({ queryKey: ['letters', gameId] }),
  });
  const { data } = dryRun;
  return (
    <FirstCount
      title="Send again"
      about="Each letter goes to its own role, through the normal way. What took effect before is skipped."
      told={data === undefined ? null : `${lettersOf(data.letters, data.truncated)} would be sent.`}
      action="Send them"
      canAct={(data?.letters ?? 0) > 0}
      outcome={
        redrive.data === undefined ? null : (
          <UnderWay
            actionId={redrive.data.actionId}
            sent={redrive.data.sent}
            isCutShort={redrive.data.truncated}
            onClose={onClose}
          />
        )
      }
      isBusy={dryRun.isPending || redrive.isPending}
      error={redrive.error ?? dryRun.error}
      onCount={dryRun.mutate}
      onAct={redrive.mutate}
      onClose={onClose}
    />
  );
}

/** `12 letters`, and that there are more than one request decides about. */
export const lettersOf = (letters: number, isCutShort: boolean): string =>
  `${count(letters)}${isCutShort ? ' and more' : ''} open ${letters === 1 ? 'letter' : 'letters'}`;

function UnderWay(props: {
  readonly actionId: number | null;
  readonly sent: number;
  readonly isCutShort: boolean;
  readonly onClose: () => void;
}) {
  const { gameId } = useGame();
  const { actionId, sent, isCutShort, onClose } = props;
  const client = useQueryClient();
  const progress = useQuery({
    queryKey: ['redrive', gameId, actionId],
    enabled: actionId !== null,
    queryFn: async () => {
      const now = await dataOf(
        api.GET('/admin/v1/games/{gameId}/dead-letters/actions/{actionId}', {
          params: { path: { gameId, actionId: actionId ?? 0 } },
        }),
      );
      if (now.pending === 0) void client.invalidateQueries({ queryKey: ['letters', gameId] });
      return now;
    },
    refetchInterval: ({ state }) => (state.data?.pending === 0 ? false : LOOK_MS),
  });
  return (
    <Stack>
      <Text>
        {count(sent)} sent{isCutShort ? '; more are open, send again for the rest' : ''}.
      </Text>
      {actionId !== null && (
        <DataState query={progress} rows={1}>
          {({ pending, done, skipped, failed }) => {
            const all = Math.max(1, pending + done + skipped + failed);
            return (
              <>
                <Progress.Root size="lg" aria-label="How far it is">
                  <Progress.Section
                    value={((done + skipped) / all) * 100}
                    color="green"
                    aria-label="settled"
                  />
                  <Progress.Section value={(failed / all) * 100} color="red" aria-label="letters again" />
                </Progress.Root>
                <Text role="status" size="sm">
                  {count(pending)} on their way, {count(done)} took effect, {count(skipped)} had before,{' '}
                  {count(failed)} are letters again.
                </Text>
              </>
            );
          }}
        </DataState>
      )}
      <Group justify="flex-end">
        <Button onClick={onClose}>Close</Button>
      </Group>
    </Stack>
  );
}
