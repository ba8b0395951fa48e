import { Button, Group, Stack, Text } from '@mantine/core';
import { api, dataOf, OWN_PAGE } from '../../api/client.ts';
import { count } from '../../parts/figures.ts';
import { useGame } from '../../shell/game.ts';
import { FirstCount } from './first-count.tsx';
import type { Selection } from './letter-filter.ts';
import { useTwoSteps } from './use-two-steps.ts';

/** Decides that open letters never take effect: first how many, then for good. */
export function DropLetters({
  select,
  onClose,
}: {
  readonly select: Selection;
  readonly onClose: () => void;
}) {
  const { gameId } = useGame();
  const { answer, steps } = useTwoSteps(select, 'dropped', (body) =>
    dataOf(
      api.POST('/admin/v1/games/{gameId}/dead-letters/drop', {
        params: { path: { gameId }, header: OWN_PAGE },
        body,
      }),
    ),
  );
  return (
    <FirstCount
      {...steps}
      title="Drop"
      about="Their events never take effect in their role, not by a redrive and not by a replay. It cannot be taken back."
      action="Drop for good"
      isDangerous
      outcome={
        answer === undefined ? null : (
          <Stack>
            <Text role="status">
              {count(answer.dropped)} dropped; {count(answer.applied)} had taken effect and are closed as
              such.
              {answer.truncated && ' More are open: drop again for the rest.'}
            </Text>
            <Group justify="flex-end">
              <Button onClick={onClose}>Close</Button>
            </Group>
          </Stack>
        )
      }
      onClose={onClose}
    />
  );
}
