import { Button, Group, Stack, Text, Textarea } from '@mantine/core';
import { useId, useState, type ReactNode } from 'react';
import { Trouble } from './data-state.tsx';
import { Dialog } from './dialog.tsx';

export interface DecideProps {
  readonly isOpen: boolean;
  readonly onClose: () => void;
  readonly title: string;
  /** What will happen, and what will not. */
  readonly children: ReactNode;
  readonly action: string;
  readonly isDangerous?: boolean;
  /** The reason goes to the audit log; asked for where this is set. */
  readonly needsReason?: boolean;
  readonly isBusy: boolean;
  readonly error: unknown;
  readonly onDecide: (reason: string) => void;
}

/** A question before something that others will see or that is hard to take back. */
export function Decide(props: DecideProps) {
  return props.isOpen && <Question {...props} />;
}

function Question(props: DecideProps) {
  const { onClose, title, children, action, isDangerous = false, needsReason = false } = props;
  const [reason, setReason] = useState('');
  const form = useId();
  return (
    <Dialog title={title} onClose={onClose}>
      <form
        id={form}
        onSubmit={(event) => {
          event.preventDefault();
          props.onDecide(reason.trim());
        }}
      >
        <Stack>
          <Text size="sm" component="div">
            {children}
          </Text>
          {needsReason && (
            <Textarea
              label="Reason"
              description="Stands in the audit log, with your name."
              required
              maxLength={500}
              data-autofocus
              value={reason}
              onChange={(event) => setReason(event.currentTarget.value)}
            />
          )}
          {props.error !== null && props.error !== undefined && <Trouble error={props.error} />}
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button type="submit" {...(isDangerous ? { color: 'red' } : {})} loading={props.isBusy}>
              {action}
            </Button>
          </Group>
        </Stack>
      </form>
    </Dialog>
  );
}
