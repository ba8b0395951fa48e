import { Button, Center } from '@mantine/core';

/** The next page of a list, on demand. */
export function More({
  hasMore,
  isLoadingMore,
  loadMore,
}: {
  readonly hasMore: boolean;
  readonly isLoadingMore: boolean;
  readonly loadMore: () => void;
}) {
  if (!hasMore) return null;
  return (
    <Center mt="md">
      <Button variant="default" loading={isLoadingMore} onClick={loadMore}>
        Show more
      </Button>
    </Center>
  );
}
