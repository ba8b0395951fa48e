import { keepPreviousData, useQueries, useQuery } from '@tanstack/react-query';
import { api, dataOf } from '../../api/client.ts';
import type { Schema } from '../../api/schema.ts';
import { useGame } from '../../shell/game.ts';

export type BoardItem = Schema<'BoardItem'>;
export type BoardWindow = BoardItem['windows'][number];
export type BoardPage = Schema<'BoardPage'>;
export type CycleItem = Schema<'CycleItem'>;

/** What of a board is looked at. */
export interface BoardChoice {
  readonly board: BoardItem;
  readonly window: BoardWindow;
  /** undefined: the current cycle. */
  readonly cycle: string | undefined;
  /** undefined: the board is one, or its parts are not known yet. */
  readonly partition: string | undefined;
  readonly isRevised: boolean;
}

const CYCLES = 200;
const PARTITIONS = 50;
const SLOW_MS = 30_000;

/** The cycles of a board and window in which something counted, the latest first; at most 200. */
export function useCycles(board: string, window: BoardWindow['window'], partition: string | undefined) {
  const { gameId } = useGame();
  return useQuery({
    queryKey: ['cycles', gameId, board, window, partition],
    queryFn: () =>
      dataOf(
        api.GET('/admin/v1/games/{gameId}/boards/{board}/cycles', {
          params: {
            path: { gameId, board },
            query: { window, limit: CYCLES, ...(partition === undefined ? {} : { partition }) },
          },
        }),
      ),
    refetchInterval: SLOW_MS,
  });
}

/**
 * The window that a board opens with: the first in whose current cycle something counted, so that a morning does not begin with an
 * empty page. undefined while that is not known.
 */
export function useFirstWindow(board: BoardItem, isOn: boolean): BoardWindow | undefined {
  const { gameId } = useGame();
  const latest = useQueries({
    queries: board.windows.map(({ window }) => ({
      queryKey: ['latest cycle', gameId, board.board, window],
      queryFn: () =>
        dataOf(
          api.GET('/admin/v1/games/{gameId}/boards/{board}/cycles', {
            params: { path: { gameId, board: board.board }, query: { window, limit: 1 } },
          }),
        ),
      enabled: isOn,
      staleTime: SLOW_MS,
    })),
  });
  if (isOn && latest.some(({ isPending }) => isPending)) return undefined;
  const filled = board.windows.find(({ cycle }, index) => latest[index]?.data?.items[0]?.cycle === cycle);
  return filled ?? board.windows[0];
}

/** The parts of a cycle whose name begins with a text: the first 50 of them. */
export function usePartitions(
  board: string,
  { window, cycle, prefix, isOn }: Readonly<Record<'prefix', string>> & PartitionQuery,
) {
  const { gameId } = useGame();
  return useQuery({
    queryKey: ['partitions', gameId, board, window, cycle, prefix],
    queryFn: () =>
      dataOf(
        api.GET('/admin/v1/games/{gameId}/boards/{board}/partitions', {
          params: {
            path: { gameId, board },
            query: {
              window,
              limit: PARTITIONS,
              ...(prefix === '' ? {} : { prefix }),
              ...(cycle === undefined ? {} : { cycle }),
            },
          },
        }),
      ),
    enabled: isOn,
    placeholderData: keepPreviousData,
    refetchInterval: SLOW_MS,
  });
}

interface PartitionQuery {
  readonly window: BoardWindow['window'];
  readonly cycle: string | undefined;
  readonly isOn: boolean;
}

/** The parameters of a choice, as every operation on a board takes them. */
export const queryOf = ({ window, cycle, partition, isRevised }: BoardChoice) => ({
  window: window.window,
  ...(cycle === undefined ? {} : { cycle }),
  ...(partition === undefined ? {} : { partition }),
  ...(isRevised ? { revised: true } : {}),
});

/** `least durationMs`, `sum of deltaXp`, `number of boss_kill`: what the score of a board is. */
export function scoreName({ aggregate, value, eventType }: BoardItem): string {
  if (value === null) return `number of ${eventType}`;
  const words = { sum: 'sum of', best: 'greatest', min: 'least', last: 'latest' } as const;
  return `${words[aggregate]} ${value}`;
}
