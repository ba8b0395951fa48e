import { useInfiniteQuery } from '@tanstack/react-query';

interface PageOf<Item> {
  readonly items: readonly Item[];
  readonly nextCursor: string | null;
}

/**
 * A list that comes in pages by cursor: what was loaded so far, and the next page on demand.
 *
 * @param load one page; `cursor` is undefined for the first
 */
export function usePages<Item>(
  key: readonly unknown[],
  load: (cursor: string | undefined) => Promise<PageOf<Item>>,
  options: { readonly isOn?: boolean; readonly refetchIntervalMs?: number } = {},
) {
  const { refetchIntervalMs } = options;
  const query = useInfiniteQuery({
    queryKey: key,
    queryFn: ({ pageParam }) => load(pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.nextCursor ?? undefined,
    enabled: options.isOn ?? true,
    refetchInterval: refetchIntervalMs ?? false,
  });
  const items = query.data?.pages.flatMap((page) => page.items);
  return {
    list: { data: items, error: query.error, isPending: query.isPending, refetch: query.refetch },
    hasMore: query.hasNextPage,
    isLoadingMore: query.isFetchingNextPage,
    loadMore: () => void query.fetchNextPage(),
  };
}
