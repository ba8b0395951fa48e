import { Button, Group, Stack, Text, Textarea } from '@mantine/core';
import { useState, type ReactNode, type SubmitEvent } from 'react';
import { Trouble } from '../../parts/data-state.tsx';
import { Dialog } from '../../parts/dialog.tsx';

/** A decision about many letters, in two steps: how many it would be, then for good. */
export function FirstCount(props: {
  readonly title: string;
  readonly about: ReactNode;
  /** What the first step told; null before it. */
  readonly told: ReactNode;
  readonly action: string;
  readonly isDangerous?: boolean;
  readonly canAct: boolean;
  /** What came of it, and a way out; shown instead of the question. */
  readonly outcome: ReactNode;
  readonly isBusy: boolean;
  readonly error: unknown;
  readonly onCount: (reason: string) => void;
  readonly onAct: (reason: string) => void;
  readonly onClose: () => void;
}) {
  const { title, about, told, action, isDangerous = false, canAct, outcome, isBusy, error, onClose } = props;
  const [reason, setReason] = useState('');
  const isCounted = told !== null;
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    (isCounted ? props.onAct : props.onCount)(reason.trim());
  };
  return (
    <Dialog title={title} onClose={onClose}>
      {outcome ?? (
        <form onSubmit={submit}>
          <Stack>
            <Text size="sm" component="div">
              {about}
            </Text>
            <Textarea
              label="Reason"
              description="Stands in the audit log, with your name."
              required
              minLength={3}
              maxLength={500}
              data-autofocus
              readOnly={isCounted}
              value={reason}
              onChange={(event) => setReason(event.currentTarget.value)}
            />
            {isCounted && (
              <Text role="status" fw={600}>
                {told}
              </Text>
            )}
            {error !== null && <Trouble error={error} />}
            <Group justify="flex-end">
              <Button variant="default" onClick={onClose}>
                Cancel
              </Button>
              <Button
                type="submit"
                loading={isBusy}
                disabled={isCounted && !canAct}
                {...(isDangerous && isCounted ? { color: 'red' } : {})}
              >
                {isCounted ? action : 'Count them first'}
              </Button>
            </Group>
          </Stack>
        </form>
      )}
    </Dialog>
  );
}
