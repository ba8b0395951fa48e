import { Button, Group, Progress, Stack, Text } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { api, dataOf, OWN_PAGE } from '../../api/client.ts';
import { DataState } from '../../parts/data-state.tsx';
import { count } from '../../parts/figures.ts';
import { useGame } from '../../shell/game.ts';
import { FirstCount } from './first-count.tsx';
import type { Selection } from './letter-filter.ts';
import { useTwoSteps } from './use-two-steps.ts';

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
  const { answer, steps } = useTwoSteps(select, 'sent', (body) =>
    dataOf(
      api.POST('/admin/v1/games/{gameId}/dead-letters/redrive', {
        params: { path: { gameId }, header: OWN_PAGE },
        body,
      }),
    ),
  );
  return (
    <FirstCount
      {...steps}
      title="Send again"
      about="Each letter goes to its own role, through the normal way. What took effect before is skipped."
      action="Send them"
      outcome={
        answer === undefined ? null : (
          <UnderWay
            actionId={answer.actionId}
            sent={answer.sent}
            isCutShort={answer.truncated}
            onClose={onClose}
          />
        )
      }
      onClose={onClose}
    />
  );
}

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
