import { Button, Group, Stack, Text, Textarea, Timeline } from '@mantine/core';
import { useState, type SubmitEvent } from 'react';
import type { Schema } from '../../api/schema.ts';
import { Trouble } from '../../parts/data-state.tsx';
import { Moment } from '../../parts/moment.tsx';
import { Panel } from '../../parts/panel.tsx';
import { Said } from '../../parts/player-name.tsx';
import { visibleName } from '../../parts/visible.ts';
import { useDecisions } from './case-state.ts';

type CaseEvent = Schema<'CaseEvent'>;

/** What was said and done about a case, and room to say more. */
export function Story({
  caseId,
  events,
}: {
  readonly caseId: number;
  readonly events: readonly CaseEvent[];
}) {
  const { note } = useDecisions(caseId);
  const [text, setText] = useState('');
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    note.mutate(text.trim(), { onSuccess: () => setText('') });
  };
  return (
    <Panel title="Story">
      <Timeline bulletSize={14} lineWidth={2} active={events.length}>
        {events.map((event) => (
          <Timeline.Item key={event.eventNo} title={<Text size="sm">{visibleName(told(event))}</Text>}>
            {event.text !== null && (
              <Text size="sm" style={{ whiteSpace: 'pre-wrap' }} component="div">
                <Said>{event.text}</Said>
              </Text>
            )}
            <Text size="xs" c="dimmed" component="div">
              <Moment at={event.at} />
            </Text>
          </Timeline.Item>
        ))}
      </Timeline>
      <form onSubmit={submit}>
        <Stack gap="xs">
          <Textarea
            label="Note"
            autosize
            minRows={2}
            maxLength={2000}
            value={text}
            onChange={(event) => setText(event.currentTarget.value)}
          />
          {note.error !== null && <Trouble error={note.error} />}
          <Group justify="flex-end">
            <Button type="submit" variant="default" disabled={text.trim() === ''} loading={note.isPending}>
              Add the note
            </Button>
          </Group>
        </Stack>
      </form>
    </Panel>
  );
}

function told({ kind, by, assignee, hid }: CaseEvent): string {
  switch (kind) {
    case 'opened':
      return 'Opened by a finding';
    case 'assigned':
      return assignee === null ? `${by} gave it back` : `${by} assigned it to ${assignee}`;
    case 'noted':
      return `${by} noted`;
    case 'reversed':
      return `${by} took the verdict back`;
    default:
      return `${by} decided: ${kind}${hid ? ', and hid the player' : ''}`;
  }
}
