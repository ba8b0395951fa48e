import { Button, Code, CopyButton, Group, Stack } from '@mantine/core';
import { visible } from './visible.ts';

const LOOK = { whiteSpace: 'pre-wrap', overflowWrap: 'anywhere', overflowY: 'auto' } as const;

/** What came from outside, as text of several lines; `copied` is what the button copies, where that is not what is shown. */
export function Raw({
  text,
  label,
  copied = text,
  height = 380,
}: {
  readonly text: string;
  readonly label: string;
  readonly copied?: string;
  readonly height?: number;
}) {
  return (
    <Stack gap={4} miw={0}>
      <Code block dir="auto" tabIndex={0} role="region" aria-label={label} mah={height} style={LOOK}>
        {visible(text)}
      </Code>
      <Group justify="flex-end">
        <CopyButton value={copied}>
          {({ copied: isCopied, copy }) => (
            <Button variant="subtle" color="gray" size="compact-xs" onClick={copy}>
              {isCopied ? 'Copied' : 'Copy'}
            </Button>
          )}
        </CopyButton>
      </Group>
    </Stack>
  );
}
