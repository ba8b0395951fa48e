import { Button, Group, NumberInput, Stack, Text, Textarea } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState, type SubmitEvent } from 'react';
import { api, dataOf, OWN_PAGE } from '../../api/client.ts';
import { Trouble } from '../../parts/data-state.tsx';
import { Dialog } from '../../parts/dialog.tsx';
import { useGame } from '../../shell/game.ts';
import type { Job } from './job-list.tsx';

/** What the API takes. */
export const DAYS_MAX = 3_650;
const RATE_MAX = 2_000;
const RATE = 500;

/** Feeds a recording through the gateway. */
export function StartReplay({
  job,
  onClose,
  onStarted,
}: {
  readonly job: Job;
  readonly onClose: () => void;
  readonly onStarted: (job: Job) => void;
}) {
  const { gameId } = useGame();
  const [rebaseDays, setDays] = useState<number | string>(0);
  const [eventsPerSecond, setRate] = useState<number | string>(RATE);
  const [reason, setReason] = useState('');
  const start = useMutation({
    mutationFn: () =>
      dataOf(
        api.POST('/admin/v1/games/{gameId}/replays/{jobId}/start', {
          params: { path: { gameId, jobId: job.jobId }, header: OWN_PAGE },
          body: {
            reason: reason.trim(),
            rebaseDays: Number(rebaseDays),
            eventsPerSecond: Number(eventsPerSecond),
          },
        }),
      ),
    onSuccess: onStarted,
  });
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    start.mutate();
  };
  return (
    <Dialog title="Start the replay" onClose={onClose}>
      <form onSubmit={submit}>
        <Stack>
          <Text size="sm">
            Its events are posted to the gateway and count, on boards, in levels and rewards. What was counted
            before is not counted again.
          </Text>
          <NumberInput
            label="Move its times forward by days"
            description="0: the times are those of the recording."
            min={0}
            max={DAYS_MAX}
            allowDecimal={false}
            required
            withAsterisk={false}
            value={rebaseDays}
            onChange={setDays}
          />
          <NumberInput
            label="Events a second, at most"
            min={1}
            max={RATE_MAX}
            allowDecimal={false}
            required
            withAsterisk={false}
            value={eventsPerSecond}
            onChange={setRate}
          />
          <Textarea
            label="Reason"
            description="Stands in the audit log, with your name."
            required
            minLength={3}
            maxLength={500}
            data-autofocus
            value={reason}
            onChange={(event) => setReason(event.currentTarget.value)}
          />
          {start.error !== null && <Trouble error={start.error} />}
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button type="submit" loading={start.isPending}>
              Start
            </Button>
          </Group>
        </Stack>
      </form>
    </Dialog>
  );
}
