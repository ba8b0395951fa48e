import { Button, Checkbox, Group, Kbd, Paper, Stack, TextInput } from '@mantine/core';
import { IconArrowBackUp, IconCheck, IconHammer } from '@tabler/icons-react';
import { useEffect, useRef, useState, type RefObject, type SubmitEvent } from 'react';
import { Trouble } from '../../parts/data-state.tsx';
import { Decide } from '../../parts/decide.tsx';
import { decimal } from '../../parts/figures.ts';
import { useKeys } from '../../parts/use-keys.ts';
import { notify } from '../../parts/notify.ts';
import { visibleName } from '../../parts/visible.ts';
import { useDecisions, type Case } from './case-state.ts';

type Choice = 'cheat' | 'clean';

/** The verdict: one click says which, the second confirms. A verdict can be taken back. The focus stays here from step to step. */
export function Verdict({ one }: { readonly one: Case }) {
  const [choice, setChoice] = useState<Choice | null>(null);
  const place = useRef<HTMLDivElement>(null);
  const isOpen = one.state === 'open';
  const pick = (next: Choice) => () => {
    if (isOpen) setChoice(next);
  };
  useKeys({ x: pick('cheat'), c: pick('clean'), Escape: () => setChoice(null) });
  return (
    <div ref={place} tabIndex={-1} role="group" aria-label="Verdict">
      {isOpen && choice === null && <Choices onPick={pick} />}
      {isOpen && choice !== null && (
        <Confirm key={choice} one={one} choice={choice} place={place} onClose={() => setChoice(null)} />
      )}
      {!isOpen && one.state !== 'reversed' && <Reverse one={one} />}
    </div>
  );
}

function Choices({ onPick }: { readonly onPick: (choice: Choice) => () => void }) {
  return (
    <Group gap="sm">
      <Button
        color="red.9"
        leftSection={<IconHammer size={16} aria-hidden />}
        rightSection={<Kbd aria-hidden>x</Kbd>}
        aria-keyshortcuts="x"
        onClick={onPick('cheat')}
      >
        Cheat
      </Button>
      <Button
        variant="default"
        leftSection={<IconCheck size={16} aria-hidden />}
        rightSection={<Kbd aria-hidden>c</Kbd>}
        aria-keyshortcuts="c"
        onClick={onPick('clean')}
      >
        Clean
      </Button>
    </Group>
  );
}

const reasonFor = (choice: Choice, { metric, maxAbsZ }: Case): string =>
  choice === 'cheat'
    ? `${metric} ${decimal(maxAbsZ)} deviations from what the player did before`
    : `${metric} is within what a player can do`;

/** The second click, already under the Enter key. The reason can be made better first. */
function Confirm({
  one,
  choice,
  place,
  onClose,
}: {
  readonly one: Case;
  readonly choice: Choice;
  /** Where the focus goes when this is gone. */
  readonly place: RefObject<HTMLElement | null>;
  readonly onClose: () => void;
}) {
  const { judge } = useDecisions(one.caseId);
  const [reason, setReason] = useState(() => reasonFor(choice, one));
  const [hide, setHide] = useState(choice === 'cheat');
  const confirm = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    const around = place.current;
    confirm.current?.focus();
    return () => around?.focus({ preventScroll: true });
  }, [place]);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    judge.mutate(
      { verdict: choice, hide, reason: reason.trim() },
      {
        onSuccess: () =>
          notify({
            title: `${visibleName(one.playerId)}: ${choice}`,
            message: hide ? 'Hidden from every board and cycle.' : 'Decided.',
          }),
      },
    );
  };
  return (
    <Paper withBorder p="sm" component="section" aria-label={`Confirm: ${choice}`}>
      <form
        onSubmit={submit}
        onKeyDown={(event) => {
          if (event.key === 'Escape') onClose();
        }}
      >
        <Stack gap="sm">
          <TextInput
            label="Reason"
            description="Stands in the case and in the audit log."
            required
            minLength={3}
            maxLength={500}
            value={reason}
            onChange={(event) => setReason(event.currentTarget.value)}
          />
          {choice === 'cheat' && (
            <Checkbox
              label="Hide the player from every board and cycle"
              checked={hide}
              onChange={(event) => setHide(event.currentTarget.checked)}
            />
          )}
          {judge.error !== null && <Trouble error={judge.error} />}
          <Group gap="sm">
            <Button
              type="submit"
              {...(choice === 'cheat' ? { color: 'red.9' } : {})}
              loading={judge.isPending}
              ref={confirm}
            >
              Confirm: {choice}
            </Button>
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
          </Group>
        </Stack>
      </form>
    </Paper>
  );
}

function Reverse({ one }: { readonly one: Case }) {
  const { reverse } = useDecisions(one.caseId);
  const [isAsking, setAsking] = useState(false);
  return (
    <div>
      <Button
        variant="default"
        leftSection={<IconArrowBackUp size={16} aria-hidden />}
        onClick={() => setAsking(true)}
      >
        Take the verdict back
      </Button>
      {isAsking && (
        <Decide
          isOpen
          onClose={() => setAsking(false)}
          title="Take this verdict back?"
          action="Take it back"
          needsReason
          isBusy={reverse.isPending}
          error={reverse.error}
          onDecide={(reason) => reverse.mutate(reason, { onSuccess: () => setAsking(false) })}
        >
          {one.hid
            ? 'The player stands on every board again, exactly where the scores are, unless something else hides them.'
            : 'The case is open again.'}
        </Decide>
      )}
    </div>
  );
}
