import { Alert, Badge, Button, Group, SegmentedControl, Stack, Text, TextInput } from '@mantine/core';
import { IconRefresh, IconSearch } from '@tabler/icons-react';
import { useInfiniteQuery, useMutation, useQueryClient, type InfiniteData } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { api, dataOf, OWN_PAGE } from '../../api/client.ts';
import { ApiError } from '../../api/problem.ts';
import { DataState, Trouble } from '../../parts/data-state.tsx';
import { count } from '../../parts/figures.ts';
import { LiveMark } from '../../parts/live-mark.tsx';
import { Moment } from '../../parts/moment.tsx';
import { More } from '../../parts/more.tsx';
import { useLive } from '../../parts/use-live.ts';
import { useGame } from '../../shell/game.ts';
import { queryOf, scoreName, type BoardChoice, type BoardPage, type CycleItem } from './board-state.ts';
import { Countdown } from './countdown.tsx';
import { Entries } from './entries.tsx';
import { ExportButton } from './export-button.tsx';

const ROWS = 50;
const POLL_MS = 3_000;
const PAST_POLL_MS = 30_000;

export interface BoardTableProps {
  readonly choice: BoardChoice;
  /** What is known of the cycle besides its rows. */
  readonly cycle: CycleItem | undefined;
  readonly around: string | undefined;
  readonly onAround: (player: string | undefined) => void;
  readonly onRevised: (isRevised: boolean) => void;
}

/** One cycle of one board: its state, its rows, and those around a player. */
export function BoardTable(props: BoardTableProps) {
  const { choice, cycle, around, onAround, onRevised } = props;
  const { board } = choice;
  const { pages, live, key } = useBoard(choice, around);
  const query = {
    data: useMemo(() => pages.data?.pages.flatMap((page) => page.items), [pages.data]),
    error: pages.error,
    isPending: pages.isPending,
    refetch: pages.refetch,
  };
  const first = pages.data?.pages[0];
  const isUnknown = pages.error instanceof ApiError && pages.error.status === 404 && around !== undefined;
  return (
    <Stack>
      <Group justify="space-between" align="flex-end">
        <Around value={around} onChange={onAround} subject={board.subject ?? 'player'} />
        <Group gap="xs" align="center">
          {cycle?.isRevised === true && (
            <SegmentedControl
              aria-label="Which ranking"
              data={[
                { value: 'final', label: 'Final' },
                { value: 'revised', label: 'Revised' },
              ]}
              value={choice.isRevised ? 'revised' : 'final'}
              onChange={(value) => onRevised(value === 'revised')}
            />
          )}
          <ExportButton choice={choice} />
          {choice.cycle === undefined && <LiveMark state={live} />}
        </Group>
      </Group>
      {first !== undefined && <Summary page={first} cycle={cycle} />}
      {first?.stale === true && <Stale choice={choice} />}
      {isUnknown ? (
        <Text c="dimmed">
          “{around}” is not on this board{choice.cycle === undefined ? ' now' : ''}, or is hidden.
        </Text>
      ) : (
        <DataState
          query={query}
          rows={10}
          isEmpty={(items) => items.length === 0}
          empty={
            around === undefined
              ? 'Nothing counted in this cycle yet. The first event that counts will stand here.'
              : `“${around}” is not on this board, or is hidden.`
          }
        >
          {(items) => (
            <Entries
              board={key}
              label={`${board.board}, ${choice.window.window}, ${first?.cycle ?? ''}`}
              entries={items}
              subjectField={board.subject}
              scoreName={scoreName(board)}
              marked={around}
            />
          )}
        </DataState>
      )}
      {around === undefined && (
        <More
          hasMore={pages.hasNextPage}
          isLoadingMore={pages.isFetchingNextPage}
          loadMore={() => void pages.fetchNextPage()}
        />
      )}
    </Stack>
  );
}

/** The rows, which the stream replaces as they change; while there is no stream they are asked for again and again. */
function useBoard(choice: BoardChoice, around: string | undefined) {
  const { gameId } = useGame();
  const client = useQueryClient();
  const { board } = choice.board;
  const queryKey = ['board', gameId, board, queryOf(choice), around] as const;
  const isCurrent = choice.cycle === undefined;
  const topic = {
    topic: 'board',
    board,
    window: choice.window.window,
    limit: ROWS,
    ...(choice.partition === undefined ? {} : { partition: choice.partition }),
  } as const;
  const seeAgain = () => void client.invalidateQueries({ queryKey });
  const live = useLive(gameId, isCurrent ? [topic] : [], (event) => {
    if (event.type !== 'board' || event.board.cycle !== choice.window.cycle) return seeAgain();
    const known = client.getQueryData<InfiniteData<BoardPage, string | undefined>>(queryKey);
    // Of a list that was unrolled further, or that stands around somebody, the top is not the whole.
    if (around !== undefined || known === undefined || known.pages.length > 1) return seeAgain();
    client.setQueryData(queryKey, { ...known, pages: [event.board] });
  });
  const pages = useInfiniteQuery({
    queryKey,
    queryFn: ({ pageParam }) =>
      dataOf(
        api.GET('/admin/v1/games/{gameId}/boards/{board}', {
          params: {
            path: { gameId, board },
            query: {
              ...queryOf(choice),
              ...(around === undefined ? { limit: ROWS } : { around }),
              ...(pageParam === undefined ? {} : { cursor: pageParam }),
            },
          },
        }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => (around === undefined ? (page.nextCursor ?? undefined) : undefined),
    refetchInterval: isCurrent ? (live === 'live' ? false : POLL_MS) : PAST_POLL_MS,
  });
  return { pages, live, key: JSON.stringify(queryKey) };
}

const STATES = {
  live: { color: 'tally', text: 'live', about: 'the cycle goes on' },
  closing: { color: 'yellow', text: 'closing', about: 'it is over, and waits for late events' },
  final: { color: 'gray', text: 'final', about: 'it does not change any more' },
  revised: { color: 'orange', text: 'revised', about: 'with what counted after it was final' },
} as const;

function Summary({ page, cycle }: { readonly page: BoardPage; readonly cycle: CycleItem | undefined }) {
  const { color, text, about } = STATES[page.state];
  return (
    <Group gap="xs">
      <Badge color={color} variant="light">
        {text}
      </Badge>
      <Text size="sm" c="dimmed" component="div">
        {about} · {count(page.total)} ranked
        {page.updatedAt !== null && page.state !== 'final' && (
          <>
            {' '}
            · changed <Moment at={page.updatedAt} />
          </>
        )}
        {typeof cycle?.finalAt === 'string' && (
          <>
            {' '}
            · final since <Moment at={cycle.finalAt} />
          </>
        )}
        {page.state === 'live' && page.nextResetAt !== null && (
          <>
            {' '}
            · <Countdown until={page.nextResetAt} />
          </>
        )}
      </Text>
    </Group>
  );
}

function Around(props: {
  readonly value: string | undefined;
  readonly onChange: (value: string | undefined) => void;
  readonly subject: string;
}) {
  const [typed, setTyped] = useState(props.value ?? '');
  return (
    <form
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
        props.onChange(typed === '' ? undefined : typed);
      }}
    >
      <Group gap="xs" align="flex-end">
        <TextInput
          label={`Around a ${props.subject}`}
          placeholder="Exact id"
          dir="auto"
          leftSection={<IconSearch size={16} aria-hidden />}
          value={typed}
          onChange={(event) => setTyped(event.currentTarget.value)}
        />
        <Button type="submit" variant="default">
          Show
        </Button>
        {props.value !== undefined && (
          <Button
            variant="subtle"
            onClick={() => {
              setTyped('');
              props.onChange(undefined);
            }}
          >
            To the top
          </Button>
        )}
      </Group>
    </form>
  );
}

/** The view is behind. It heals by itself; an operator can have it made anew. */
function Stale({ choice }: { readonly choice: BoardChoice }) {
  const { gameId, may } = useGame();
  const { window, cycle, partition } = choice;
  const client = useQueryClient();
  const rebuild = useMutation({
    mutationFn: () =>
      dataOf(
        api.POST('/admin/v1/games/{gameId}/boards/{board}/rebuild', {
          params: { path: { gameId, board: choice.board.board }, header: OWN_PAGE },
          body: {
            window: window.window,
            ...(cycle === undefined ? {} : { cycle }),
            ...(partition === undefined ? {} : { partition }),
          },
        }),
      ),
    onSuccess: () => client.invalidateQueries({ queryKey: ['board', gameId] }),
  });
  return (
    <Alert color="yellow" icon={<IconRefresh aria-hidden />} title="This ranking may be behind" role="status">
      <Text size="sm">
        The fast view of this board is being made whole again. No score is lost: the truth is in the database.
      </Text>
      {may('operator') && (
        <Button
          mt="xs"
          size="compact-sm"
          variant="default"
          loading={rebuild.isPending}
          onClick={() => rebuild.mutate()}
        >
          {rebuild.isSuccess ? 'Being rebuilt' : 'Rebuild it now'}
        </Button>
      )}
      {rebuild.error !== null && <Trouble error={rebuild.error} />}
    </Alert>
  );
}
