import { Alert, Badge, Button, Group, Progress, Text } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api, dataOf, OWN_PAGE } from '../../api/client.ts';
import { DataState, Trouble } from '../../parts/data-state.tsx';
import { Facts, type Fact } from '../../parts/facts.tsx';
import { count } from '../../parts/figures.ts';
import { Moment } from '../../parts/moment.tsx';
import { Panel } from '../../parts/panel.tsx';
import { Name } from '../../parts/player-name.tsx';
import { useGame } from '../../shell/game.ts';
import { DeleteJob } from './delete-job.tsx';
import { Forecast, Refusals } from './forecast.tsx';
import { JOB_COLORS, refusedOf, type Job } from './job-list.tsx';
import { StartReplay } from './start-replay.tsx';

const LOOK_MS = 1_000;

/** One recording: what would come of it, how far it is, what came of it. */
export function OneJob({ jobId }: { readonly jobId: string }) {
  const { gameId } = useGame();
  const job = useQuery({
    queryKey: ['replays', gameId, jobId],
    queryFn: () =>
      dataOf(api.GET('/admin/v1/games/{gameId}/replays/{jobId}', { params: { path: { gameId, jobId } } })),
    refetchInterval: ({ state }) => (state.data?.state === 'running' ? LOOK_MS : false),
  });
  return (
    <DataState query={job} missing="There is no such recording: it was deleted, or its day was over.">
      {(data) => (
        <>
          <State job={data} />
          {data.state !== 'running' && <Forecast jobId={jobId} />}
        </>
      )}
    </DataState>
  );
}

function State({ job }: { readonly job: Job }) {
  const { gameId, may } = useGame();
  const client = useQueryClient();
  const [isStarting, setStarting] = useState(false);
  const take = (next: Job) => {
    setStarting(false);
    client.setQueryData(['replays', gameId, next.jobId], next);
  };
  const cancel = useMutation({
    mutationFn: () =>
      dataOf(
        api.POST('/admin/v1/games/{gameId}/replays/{jobId}/cancel', {
          params: { path: { gameId, jobId: job.jobId }, header: OWN_PAGE },
        }),
      ),
    onSuccess: take,
  });
  const isRunning = job.state === 'running';
  return (
    <Panel
      title={<Name>{job.name}</Name>}
      aside={
        <Group gap="xs">
          <Badge variant="light" color={JOB_COLORS[job.state]}>
            {job.state}
          </Badge>
          {isRunning && (
            <Button
              size="compact-md"
              color="red"
              variant="light"
              loading={cancel.isPending}
              onClick={() => cancel.mutate()}
            >
              Stop it
            </Button>
          )}
          {!isRunning && job.state !== 'done' && may('admin') && (
            <Button size="compact-md" onClick={() => setStarting(true)}>
              {job.line > 0 ? 'Go on…' : 'Start…'}
            </Button>
          )}
          {!isRunning && may('operator') && <DeleteJob job={job} />}
        </Group>
      }
    >
      {cancel.error !== null && <Trouble error={cancel.error} />}
      {job.failure !== null && (
        <Alert color="red" title="It failed">
          {job.failure}
        </Alert>
      )}
      {job.startedAt !== null && (
        <>
          <Progress.Root size="lg">
            <Progress.Section
              value={(100 * job.line) / Math.max(1, job.lines)}
              animated={isRunning}
              aria-label="Lines that are answered for good"
            />
          </Progress.Root>
          <Text role="status" size="sm">
            {count(job.line)} of {count(job.lines)} lines
          </Text>
        </>
      )}
      <Facts facts={factsOf(job)} />
      <Refusals rejected={job.rejected} />
      {isStarting && <StartReplay job={job} onClose={() => setStarting(false)} onStarted={take} />}
    </Panel>
  );
}

const factsOf = (job: Job): Fact[] => [
  ['Counted', count(job.accepted)],
  ['Known before', count(job.duplicates)],
  ['Refused', count(refusedOf(job))],
  [
    'Uploaded',
    <>
      <Moment at={job.uploadedAt} /> by <Name>{job.uploadedBy}</Name>
    </>,
  ],
  ...(job.startedAt === null
    ? []
    : [
        [
          'Started',
          <>
            <Moment at={job.startedAt} /> by <Name>{job.startedBy ?? ''}</Name>
          </>,
        ] as const,
      ]),
  ...(job.endedAt === null ? [] : [['Ended', <Moment at={job.endedAt} />] as const]),
  ['Kept until', <Moment at={job.expiresAt} />],
];
