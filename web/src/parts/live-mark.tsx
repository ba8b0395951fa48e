import { Badge, Tooltip } from '@mantine/core';
import type { LiveState } from '../api/live.ts';

const MARKS = {
  live: { color: 'tally', text: 'live', about: 'What happens is shown as it happens.' },
  waiting: {
    color: 'yellow',
    text: 'connecting',
    about: 'The stream is being opened; what you see may be a moment old.',
  },
  refused: { color: 'gray', text: 'not live', about: 'The stream was refused. Load the page again.' },
} as const;

/** Whether the page moves by itself. */
export function LiveMark({ state }: { readonly state: LiveState }) {
  const { color, text, about } = MARKS[state];
  return (
    <Tooltip label={about}>
      <Badge variant="dot" color={color} tabIndex={0} role="status">
        {text}
      </Badge>
    </Tooltip>
  );
}
