import { Group, SegmentedControl, Select, Skeleton, Stack } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { useState, type ReactNode } from 'react';
import { useLocation } from 'wouter';
import { api, dataOf } from '../../api/client.ts';
import { DataState, Nothing } from '../../parts/data-state.tsx';
import { Page } from '../../parts/page.tsx';
import { useQueryState } from '../../parts/use-query-state.ts';
import { visibleName } from '../../parts/visible.ts';
import { useGame } from '../../shell/game.ts';
import { useThing } from '../../shell/thing.ts';
import {
  useCycles,
  useFirstWindow,
  usePartitions,
  type BoardChoice,
  type BoardItem,
  type BoardWindow,
  type CycleItem,
} from './board-state.ts';
import { BoardTable } from './board-table.tsx';

const SLOW_MS = 60_000;
const SEARCHABLE = 8;

/** Who leads, now and in the cycles before. What is chosen stands in the address. */
export function Boards() {
  const { gameId, to } = useGame();
  const name = useThing();
  const [, navigate] = useLocation();
  const boards = useQuery({
    queryKey: ['boards', gameId],
    queryFn: () => dataOf(api.GET('/admin/v1/games/{gameId}/boards', { params: { path: { gameId } } })),
    refetchInterval: SLOW_MS,
  });
  return (
    <Page
      title="Leaderboards"
      about="Who leads. Players who were hidden are not here; their scores go on counting."
    >
      <DataState
        query={boards}
        isEmpty={({ items }) => items.length === 0}
        empty="The definition of this game has no boards yet."
      >
        {({ items }) => {
          const board = name === undefined ? items[0] : items.find((one) => one.board === name);
          return (
            <OneBoard
              key={board?.board}
              board={board}
              picker={
                <Select
                  label="Board"
                  w={{ base: '100%', xs: 240 }}
                  searchable={items.length > SEARCHABLE}
                  allowDeselect={false}
                  data={items.map((one) => one.board)}
                  value={board?.board ?? null}
                  onChange={(value) => value !== null && navigate(to('boards', value))}
                />
              }
            />
          );
        }}
      </DataState>
    </Page>
  );
}

function OneBoard({ board, picker }: { readonly board: BoardItem | undefined; readonly picker: ReactNode }) {
  if (board !== undefined) return <Choices board={board} picker={picker} />;
  return (
    <Stack>
      {picker}
      <Nothing>There is no such board in the definition in force.</Nothing>
    </Stack>
  );
}

function Choices({ board, picker }: { readonly board: BoardItem; readonly picker: ReactNode }) {
  const [chosen, choose] = useQueryState(['window', 'cycle', 'partition', 'revised', 'around']);
  const named = board.windows.find((one) => one.window === chosen.window);
  const first = useFirstWindow(board, named === undefined);
  const window = named ?? first;
  const props = window === undefined ? null : { board, window, chosen, choose };
  return (
    <Stack>
      <Group align="flex-end" gap="md">
        {picker}
        {props === null && <Skeleton height={36} maw={360} aria-busy="true" />}
        {props !== null && board.windows.length > 1 && (
          <SegmentedControl
            aria-label="Window"
            data={board.windows.map((one) => one.window)}
            value={props.window.window}
            onChange={(value) => choose({ window: value, cycle: undefined, revised: undefined })}
          />
        )}
        {props !== null && <Cycles {...props} />}
      </Group>
      {props !== null && <Part {...props} />}
    </Stack>
  );
}

type Chosen = Readonly<Partial<Record<'window' | 'cycle' | 'partition' | 'revised' | 'around', string>>>;

interface ChoiceProps {
  readonly board: BoardItem;
  readonly window: BoardWindow;
  readonly chosen: Chosen;
  readonly choose: (change: Chosen | { readonly [Name in keyof Chosen]?: string | undefined }) => void;
}

const stateOf = ({ state, isRevised }: CycleItem): string =>
  state === 'live' ? '' : state === 'closing' ? ' · closing' : isRevised ? ' · final, revised' : ' · final';

function Cycles({ board, window, chosen, choose }: ChoiceProps) {
  const cycles = useCycles(board.board, window.window, chosen.partition);
  if (window.nextResetAt === null && window.window === 'all-time') return null;
  const past = new Map(
    (cycles.data?.items ?? [])
      .filter(({ cycle }) => cycle !== window.cycle)
      .map((item) => [item.cycle, `${item.cycle}${stateOf(item)}`]),
  );
  const { cycle } = chosen;
  if (cycle !== undefined && cycle !== window.cycle && !past.has(cycle)) past.set(cycle, cycle);
  return (
    <Select
      label="Cycle"
      w={{ base: '100%', xs: 260 }}
      allowDeselect={false}
      error={cycles.error?.message}
      data={[
        { value: window.cycle, label: `${window.cycle} · current` },
        ...[...past].map(([value, label]) => ({ value, label })),
      ]}
      value={cycle ?? window.cycle}
      onChange={(value) =>
        choose({ cycle: value === null || value === window.cycle ? undefined : value, revised: undefined })
      }
    />
  );
}

/** The part of a split board that is looked at, the first unless chosen; then the board itself. */
function Part(props: ChoiceProps) {
  const { board, window, chosen, choose } = props;
  const [typed, setTyped] = useState('');
  const [search] = useDebouncedValue(typed, 250);
  const isSplit = board.partition !== null;
  const prefix = search === chosen.partition ? '' : search;
  const partitions = usePartitions(board.board, {
    window: window.window,
    cycle: chosen.cycle,
    prefix,
    isOn: isSplit,
  });
  const cycles = useCycles(board.board, window.window, chosen.partition);
  const choice: BoardChoice = {
    board,
    window,
    cycle: chosen.cycle === window.cycle ? undefined : chosen.cycle,
    partition: isSplit ? (chosen.partition ?? partitions.data?.items[0]) : undefined,
    isRevised: chosen.revised === 'true',
  };
  const cycle = cycles.data?.items.find((one) => one.cycle === (choice.cycle ?? window.cycle));
  const table = (
    <BoardTable
      choice={choice}
      cycle={cycle}
      around={chosen.around}
      onAround={(around) => choose({ around })}
      onRevised={(revised) => choose({ revised: revised ? 'true' : undefined })}
    />
  );
  if (!isSplit) return table;
  const names = new Set([
    ...(choice.partition === undefined ? [] : [choice.partition]),
    ...(partitions.data?.items ?? []),
  ]);
  return (
    <>
      <Select
        label={board.partition}
        w={{ base: '100%', xs: 260 }}
        searchable
        allowDeselect={false}
        nothingFoundMessage="None begins so"
        data={[...names].map((value) => ({ value, label: visibleName(value) }))}
        value={choice.partition ?? null}
        onSearchChange={setTyped}
        onChange={(value) => choose({ partition: value ?? undefined })}
      />
      <DataState
        query={partitions}
        isEmpty={() => choice.partition === undefined}
        empty="Nothing counted in this cycle yet. Choose an earlier one, or wait for the first event."
      >
        {() => table}
      </DataState>
    </>
  );
}
