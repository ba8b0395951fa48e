import { Group, Stack, Text, Title } from '@mantine/core';
import { useDocumentTitle } from '@mantine/hooks';
import { useEffect, type ReactNode } from 'react';

export interface PageProps {
  readonly title: ReactNode;
  /** The title as the window has it, where that is more than text. */
  readonly windowTitle?: string;
  /** One line: what is to be seen here, or done. */
  readonly about?: ReactNode;
  /** Buttons and switches that concern the whole page. */
  readonly actions?: ReactNode;
  readonly children: ReactNode;
}

/** A page: its heading, which is also the window's title, and what stands below. */
export function Page({ title, windowTitle, about, actions, children }: PageProps) {
  // What a new page is about is the first thing a screen reader should tell. It may have come later than its address.
  useEffect(() => document.getElementById('page-title')?.focus({ preventScroll: true }), []);
  useDocumentTitle(`${windowTitle ?? (typeof title === 'string' ? title : '')} · Fairtally`);
  return (
    <Stack gap="lg" component="section" aria-labelledby="page-title">
      <Group justify="space-between" align="flex-start">
        <div>
          <Title order={1} size="h2" id="page-title" tabIndex={-1}>
            {title}
          </Title>
          {about !== undefined && (
            <Text c="dimmed" size="sm" mt={4}>
              {about}
            </Text>
          )}
        </div>
        {actions}
      </Group>
      {children}
    </Stack>
  );
}
