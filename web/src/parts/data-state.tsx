import { Alert, Button, Code, Group, Skeleton, Stack, Text, ThemeIcon } from '@mantine/core';
import { IconAlertTriangle, IconCheck, IconInbox } from '@tabler/icons-react';
import type { ReactNode } from 'react';
import { ApiError, isRefusedFor } from '../api/problem.ts';

/** What went wrong, with the code and the request id that an operator can look up, and a way to try again. */
export function Trouble({ error, onRetry }: { readonly error: unknown; readonly onRetry?: () => void }) {
  const problem = error instanceof ApiError ? error.problem : {};
  const title = problem.title ?? 'This could not be loaded';
  const text = error instanceof Error ? error.message : String(error);
  return (
    <Alert color="red" icon={<IconAlertTriangle aria-hidden />} title={title} role="alert">
      {text !== title && <Text size="sm">{text}</Text>}
      <Group mt="xs" gap="sm">
        {onRetry !== undefined && (
          <Button size="compact-sm" variant="light" color="red" onClick={onRetry}>
            Try again
          </Button>
        )}
        {problem.code !== undefined && <Code>{problem.code}</Code>}
        {problem.requestId !== undefined && (
          <Text size="xs" c="dimmed">
            request {problem.requestId}
          </Text>
        )}
      </Group>
    </Alert>
  );
}

/** Nothing is here, said so that it is clear whether that is good, and what would bring something. */
export function Nothing({
  children,
  isGood = false,
}: {
  readonly children: ReactNode;
  readonly isGood?: boolean;
}) {
  return (
    <Stack align="center" gap="xs" py="xl">
      <ThemeIcon size="xl" radius="xl" variant="light" color={isGood ? 'green' : 'gray'} aria-hidden>
        {isGood ? <IconCheck /> : <IconInbox />}
      </ThemeIcon>
      <Text c="dimmed" ta="center" maw={420}>
        {children}
      </Text>
    </Stack>
  );
}

export interface DataStateProps<T> {
  /** What TanStack Query answers, or `usePages().list`. */
  readonly query: {
    readonly data: T | undefined;
    readonly error: Error | null;
    readonly isPending: boolean;
    readonly refetch: () => unknown;
  };
  /** Rows of the grey stand-in while it loads. */
  readonly rows?: number;
  readonly isEmpty?: (data: T) => boolean;
  readonly empty?: ReactNode;
  /** Said where the API knows no such thing. */
  readonly missing?: ReactNode;
  /** That there is nothing is good news. */
  readonly isEmptyGood?: boolean;
  readonly children: (data: T) => ReactNode;
}

/** Loading, empty, broken or there: each has its look, and what was there stays while it is asked for again. */
export function DataState<T>({
  query,
  rows = 4,
  isEmpty,
  empty,
  missing,
  isEmptyGood = false,
  children,
}: DataStateProps<T>) {
  const { data, error, isPending, refetch } = query;
  if (data === undefined && missing !== undefined && isRefusedFor('not_found', error))
    return <Nothing>{missing}</Nothing>;
  if (data === undefined && error !== null) return <Trouble error={error} onRetry={() => void refetch()} />;
  if (isPending || data === undefined) {
    return (
      <Stack gap="sm" role="status" aria-busy="true" aria-label="Loading">
        {Array.from({ length: rows }, (_, row) => (
          <Skeleton key={row} height={28} radius="sm" />
        ))}
      </Stack>
    );
  }
  if (isEmpty?.(data) === true) return <Nothing isGood={isEmptyGood}>{empty ?? 'Nothing here yet.'}</Nothing>;
  return (
    <>
      {error !== null && <Trouble error={error} onRetry={() => void refetch()} />}
      {children(data)}
    </>
  );
}
