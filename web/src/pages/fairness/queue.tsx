import {
  Box,
  Button,
  Grid,
  Group,
  Kbd,
  Paper,
  ScrollArea,
  SegmentedControl,
  Select,
  Stack,
  Text,
  useMatches,
} from '@mantine/core';
import { IconArrowLeft } from '@tabler/icons-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useEffectEvent, useRef } from 'react';
import { Link, useLocation } from 'wouter';
import { api, dataOf } from '../../api/client.ts';
import { CaseState } from '../../parts/case-state.tsx';
import { DataState, Nothing } from '../../parts/data-state.tsx';
import { count, decimal } from '../../parts/figures.ts';
import { LiveMark } from '../../parts/live-mark.tsx';
import { Moment } from '../../parts/moment.tsx';
import { More } from '../../parts/more.tsx';
import { Page } from '../../parts/page.tsx';
import { Name } from '../../parts/player-name.tsx';
import { useKeys } from '../../parts/use-keys.ts';
import { useLive } from '../../parts/use-live.ts';
import { usePages } from '../../parts/use-pages.ts';
import { useQueryState } from '../../parts/use-query-state.ts';
import { useGame } from '../../shell/game.ts';
import { OneCase } from './one-case.tsx';
import { CASE_STATES, type Case } from './case-state.ts';
import classes from './queue.module.css';

const POLL_MS = 10_000;
const ANY = 'all';

/** The cases that fit, and beside them the one that is looked at. */
export function Queue({ caseId }: { readonly caseId: number | undefined }) {
  const { to } = useGame();
  const [, navigate] = useLocation();
  const { pages, live, filters } = useQueue();
  const items = pages.list.data ?? NO_CASES;
  const addressOf = (id: number) => `${to('fairness', String(id))}${window.location.search}`;
  const go = useSteps(items, caseId, (id) => navigate(addressOf(id)));
  useFirstBeside(items, caseId, (id) => navigate(addressOf(id), { replace: true }));
  useKeys({ j: () => go(1), k: () => go(-1) });
  const list = (
    <Stack gap="sm">
      <Filters {...filters} />
      <DataState
        query={pages.list}
        rows={8}
        isEmpty={(cases) => cases.length === 0}
        empty={
          filters.state === 'open'
            ? 'No open case. Whatever the rules find next will stand here.'
            : 'No case fits what you chose.'
        }
      >
        {(cases) => (
          <ScrollArea.Autosize
            mah={{ base: undefined, md: 'calc(100dvh - 290px)' }}
            type="auto"
            offsetScrollbars="y"
          >
            <Box component="ul" aria-label="Cases" className={classes['list']}>
              {cases.map((one) => (
                <CaseLine
                  key={one.caseId}
                  one={one}
                  href={addressOf(one.caseId)}
                  isHere={one.caseId === caseId}
                />
              ))}
            </Box>
            <More {...pages} />
          </ScrollArea.Autosize>
        )}
      </DataState>
      <Text size="xs" c="dimmed" visibleFrom="md">
        <Kbd>j</Kbd> next · <Kbd>k</Kbd> previous · <Kbd>x</Kbd> cheat · <Kbd>c</Kbd> clean · <Kbd>Enter</Kbd>{' '}
        confirms
      </Text>
    </Stack>
  );
  return (
    <Page
      title="Fairness"
      about="Who does not play as they did before, with the evidence. You judge; nobody is hidden by a rule alone."
      actions={<LiveMark state={live} />}
    >
      <Grid gap="lg">
        <Grid.Col span={{ base: 12, md: 4, xl: 3 }} {...(caseId === undefined ? {} : { visibleFrom: 'md' })}>
          {list}
        </Grid.Col>
        <Grid.Col span={{ base: 12, md: 8, xl: 9 }} {...(caseId === undefined ? { visibleFrom: 'md' } : {})}>
          {caseId === undefined ? (
            <Paper withBorder p="xl">
              <Nothing>Choose a case, or press j for the first.</Nothing>
            </Paper>
          ) : (
            <Stack>
              <Group hiddenFrom="md" justify="space-between">
                <Button
                  component={Link}
                  href={`${to('fairness')}${window.location.search}`}
                  variant="default"
                  size="compact-md"
                  leftSection={<IconArrowLeft size={16} aria-hidden />}
                >
                  All cases
                </Button>
                <Button variant="default" size="compact-md" onClick={() => go(1)}>
                  Next
                </Button>
              </Group>
              <OneCase key={caseId} caseId={caseId} />
            </Stack>
          )}
        </Grid.Col>
      </Grid>
    </Page>
  );
}

const NO_CASES: readonly Case[] = [];

/** Steps through the queue. A case that left it, because it was judged, keeps its place: the next is the one that moved up. */
function useSteps(items: readonly Case[], caseId: number | undefined, open: (caseId: number) => void) {
  const place = useRef(-1);
  const here = items.findIndex((one) => one.caseId === caseId);
  useEffect(() => {
    if (here !== -1) place.current = here;
  }, [here]);
  return (step: 1 | -1) => {
    const next = here !== -1 ? here + step : step === 1 ? Math.max(0, place.current) : place.current - 1;
    const one = items[Math.min(items.length - 1, Math.max(0, next))];
    if (one !== undefined && one.caseId !== caseId) open(one.caseId);
  };
}

/** Where there is room for a case beside the list, the first one stands there without being asked for. */
function useFirstBeside(items: readonly Case[], caseId: number | undefined, open: (caseId: number) => void) {
  const isWide = useMatches({ base: false, md: true });
  const first = items[0]?.caseId;
  const openFirst = useEffectEvent(open);
  useEffect(() => {
    if (isWide && caseId === undefined && first !== undefined) openFirst(first);
  }, [isWide, caseId, first]);
}

interface FilterProps {
  readonly state: string;
  readonly metric: string | undefined;
  readonly assignee: string | undefined;
  readonly choose: (
    change: Readonly<Partial<Record<'state' | 'metric' | 'assignee', string | undefined>>>,
  ) => void;
}

function useQueue() {
  const { gameId } = useGame();
  const client = useQueryClient();
  const [{ state: named, metric, assignee }, choose] = useQueryState(['state', 'metric', 'assignee']);
  const state = named ?? 'open';
  const wanted = CASE_STATES.find((one) => one === state);
  const seeAgain = () => {
    void client.invalidateQueries({ queryKey: ['cases', gameId] });
    void client.invalidateQueries({ queryKey: ['case', gameId] });
  };
  const live = useLive(gameId, [{ topic: 'findings' }], seeAgain, seeAgain);
  const pages = usePages<Case>(
    ['cases', gameId, wanted, metric, assignee],
    (cursor) =>
      dataOf(
        api.GET('/admin/v1/games/{gameId}/cases', {
          params: {
            path: { gameId },
            query: {
              ...(wanted === undefined ? {} : { state: wanted }),
              ...(metric === undefined ? {} : { metric }),
              ...(assignee === undefined ? {} : { assignee }),
              ...(cursor === undefined ? {} : { cursor }),
            },
          },
        }),
      ),
    live === 'live' ? {} : { refetchIntervalMs: POLL_MS },
  );
  const filters: FilterProps = { state, metric, assignee, choose };
  return { pages, live, filters };
}

const WHOSE = [
  { value: ANY, label: 'Anyone’s' },
  { value: 'me', label: 'Mine' },
  { value: 'nobody', label: 'Nobody’s' },
];

function Filters({ state, metric, assignee, choose }: FilterProps) {
  const { gameId } = useGame();
  const game = useQuery({
    queryKey: ['game', gameId],
    queryFn: () => dataOf(api.GET('/admin/v1/games/{gameId}', { params: { path: { gameId } } })),
    staleTime: POLL_MS,
  });
  return (
    <Stack gap="xs">
      <SegmentedControl
        aria-label="State"
        size="xs"
        fullWidth
        data={[...CASE_STATES, ANY]}
        value={state}
        onChange={(value) => choose({ state: value === 'open' ? undefined : value })}
      />
      <Group gap="xs" grow>
        <Select
          aria-label="Metric"
          size="xs"
          placeholder="Every metric"
          clearable
          data={game.data?.metrics ?? []}
          value={metric ?? null}
          onChange={(value) => choose({ metric: value ?? undefined })}
        />
        <Select
          aria-label="Whose"
          size="xs"
          allowDeselect={false}
          data={WHOSE}
          value={assignee ?? ANY}
          onChange={(value) => choose({ assignee: value === null || value === ANY ? undefined : value })}
        />
      </Group>
    </Stack>
  );
}

function CaseLine({
  one,
  href,
  isHere,
}: {
  readonly one: Case;
  readonly href: string;
  readonly isHere: boolean;
}) {
  const line = useRef<HTMLLIElement>(null);
  useEffect(() => {
    if (isHere) line.current?.scrollIntoView({ block: 'nearest' });
  }, [isHere]);
  return (
    <li ref={line} className={classes['line']} data-here={isHere}>
      <Group justify="space-between" wrap="nowrap" gap="xs">
        <Link href={href} className={classes['name']} aria-current={isHere ? 'true' : undefined}>
          <Name fw={600} size="sm">
            {one.playerId}
          </Name>
        </Link>
        <CaseState state={one.state} />
      </Group>
      <Text size="xs" c="dimmed">
        {one.metric} · z {decimal(one.maxAbsZ)} · {count(one.findings)}{' '}
        {one.findings === 1 ? 'finding' : 'findings'}
        {one.assignee !== null && (
          <>
            {' '}
            · <Name>{one.assignee.username}</Name>
          </>
        )}
        {one.playerHidden && ' · hidden'}
      </Text>
      <Text size="xs" c="dimmed" className={classes['moment']}>
        <Moment at={one.latestFindingAt} />
      </Text>
    </li>
  );
}
