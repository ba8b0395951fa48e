import { Alert, Badge, Group, List, Stack, Text } from '@mantine/core';
import { IconAlertTriangle, IconCircleCheck, IconClockExclamation } from '@tabler/icons-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { api, dataOf } from '../../api/client.ts';
import { DataState } from '../../parts/data-state.tsx';
import { count, span } from '../../parts/figures.ts';
import { GoesTo } from '../../parts/goes-to.tsx';
import { LiveMark } from '../../parts/live-mark.tsx';
import { Page } from '../../parts/page.tsx';
import { Panel } from '../../parts/panel.tsx';
import { useLive } from '../../parts/use-live.ts';
import { useGame } from '../../shell/game.ts';
import { Books } from './books.tsx';
import { Day } from './day.tsx';
import { Figures } from './figures.tsx';
import { isLate, nextSteps, type NextStep, type Pipeline } from './next-steps.ts';
import { Refusals } from './refusals.tsx';
import { Roles } from './roles.tsx';

const POLL_MS = 2_000;

/** Is it healthy, and if not: what to do. */
export function Overview() {
  const { gameId } = useGame();
  const client = useQueryClient();
  const queryKey = ['pipeline', gameId];
  const live = useLive(gameId, [{ topic: 'pipeline' }], (event) => {
    if (event.type === 'pipeline') client.setQueryData(queryKey, event.pipeline);
  });
  const pipeline = useQuery({
    queryKey,
    queryFn: () => dataOf(api.GET('/admin/v1/games/{gameId}/pipeline', { params: { path: { gameId } } })),
    refetchInterval: live === 'live' ? false : POLL_MS,
  });
  return (
    <Page
      title="Overview"
      about="What comes in, what became of it, and whether anything wants you."
      actions={<LiveMark state={live} />}
    >
      <DataState query={pipeline} rows={10}>
        {(data) => (
          <Stack gap="lg">
            <Status pipeline={data} />
            <NextSteps steps={nextSteps(data)} />
            <Figures pipeline={data} />
            <Day />
            <Books pipeline={data} />
            <Roles pipeline={data} />
            <Refusals refusals={data.refusals} />
          </Stack>
        )}
      </DataState>
    </Page>
  );
}

const STATUS = {
  healthy: { color: 'green', Icon: IconCircleCheck, title: 'Healthy' },
  behind: { color: 'yellow', Icon: IconClockExclamation, title: 'Behind' },
  degraded: { color: 'red', Icon: IconAlertTriangle, title: 'Needs you' },
} as const;

function Status({ pipeline }: { readonly pipeline: Pipeline }) {
  const { color, Icon, title } = STATUS[pipeline.status];
  return (
    <Alert color={color} icon={<Icon aria-hidden />} title={title} role="status">
      {said(pipeline)}
    </Alert>
  );
}

/** The state in one sentence. */
function said(pipeline: Pipeline): string {
  const { status, roles } = pipeline;
  const lag = lagSaid(pipeline);
  if (status === 'healthy') return `Every role keeps up, and the books balance. ${lag}`;
  if (status === 'behind') {
    const late = roles.filter((role) => isLate(role) || (role.waiting ?? 0) > 0).map(({ role }) => role);
    return `${late.join(', ') || 'A role'} is catching up; nothing is lost. ${lag}`;
  }
  return `Events are still taken and kept; something below wants a person. ${lag}`;
}

/** How many events wait is told to admins of all games alone; how long the oldest does, to everybody. */
function lagSaid({ roles, bus, conservation }: Pipeline): string {
  const waiting = Math.max(0, ...roles.map((role) => role.waiting ?? 0));
  const oldest = Math.max(0, ...roles.map((role) => role.oldestSeconds ?? 0));
  if (waiting === 0 && oldest === 0) return `No event waits on the ${bus} bus.`;
  if (conservation === null)
    return `Of all games, the oldest event on the ${bus} bus waits for ${span(oldest)}.`;
  return `${count(waiting)} events wait on the ${bus} bus, the oldest for ${span(oldest)}.`;
}

const WEIGHTS = { bad: ['red', 'now'], warn: ['orange', 'soon'], todo: ['gray', 'when you can'] } as const;

function NextSteps({ steps }: { readonly steps: readonly NextStep[] }) {
  const { to } = useGame();
  if (steps.length === 0) return null;
  return (
    <Panel title="What to do next">
      <List spacing="sm" listStyleType="none" aria-label="What to do next">
        {steps.map(({ weight, what, how, place, link }) => {
          const [color, when] = WEIGHTS[weight];
          return (
            <List.Item key={what}>
              <Group gap="xs" align="baseline">
                <Text size="sm" fw={600}>
                  {what}
                </Text>
                <Badge size="xs" variant="light" color={color}>
                  {when}
                </Badge>
              </Group>
              <Text size="sm" c="dimmed" component="div">
                {how}{' '}
                {place !== null && (
                  <GoesTo href={to(...place)} underline="always">
                    {link}
                  </GoesTo>
                )}
              </Text>
            </List.Item>
          );
        })}
      </List>
    </Panel>
  );
}
