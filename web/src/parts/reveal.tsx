import { Alert, Button, Code, CopyButton, Group, Stack, Text } from '@mantine/core';
import type { ReactNode } from 'react';
import { Dialog } from './dialog.tsx';

/** A secret that is shown once: nobody can ask for it again. */
export function Reveal({
  title,
  secret,
  children,
  onClose,
}: {
  readonly title: string;
  readonly secret: string | null;
  readonly children: ReactNode;
  readonly onClose: () => void;
}) {
  if (secret === null) return null;
  return (
    <Dialog title={title} onClose={onClose} staysOnClick>
      <Stack>
        <Text size="sm">{children}</Text>
        <Code block data-testid="secret">
          {secret}
        </Code>
        <Alert color="yellow">This is the only time it is shown.</Alert>
        <Group justify="flex-end">
          <CopyButton value={secret}>
            {({ copied, copy }) => (
              <Button variant="default" onClick={copy}>
                {copied ? 'Copied' : 'Copy'}
              </Button>
            )}
          </CopyButton>
          <Button onClick={onClose}>I have kept it</Button>
        </Group>
      </Stack>
    </Dialog>
  );
}
