import { Button, Group, Stack, Text, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState, type SubmitEvent } from 'react';
import { api, dataOf, OWN_PAGE } from '../../api/client.ts';
import { Trouble } from '../../parts/data-state.tsx';
import { Dialog } from '../../parts/dialog.tsx';
import { useGame } from '../../shell/game.ts';

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;

/** What `<input type="datetime-local">` shows: the viewer's own clock. */
const localTime = (atMs: number): string =>
  new Date(atMs - new Date(atMs).getTimezoneOffset() * MINUTE_MS)
    .toISOString()
    .slice(0, 'YYYY-MM-DDTHH:MM'.length);

/** The date at which a key ends. It is never made to live longer. */
export function EndKey({
  keyId,
  notAfter,
  onClose,
  onEnded,
}: {
  readonly keyId: string;
  readonly notAfter: string | null;
  readonly onClose: () => void;
  readonly onEnded: () => void;
}) {
  const { gameId } = useGame();
  const [date, setDate] = useState(() =>
    localTime(notAfter === null ? Date.now() + DAY_MS : Date.parse(notAfter)),
  );
  const end = useMutation({
    mutationFn: () =>
      dataOf(
        api.POST('/admin/v1/games/{gameId}/keys/{keyId}/retire', {
          params: { path: { gameId, keyId }, header: OWN_PAGE },
          body: { at: new Date(date).toISOString() },
        }),
      ),
    onSuccess: onEnded,
  });
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    end.mutate();
  };
  return (
    <Dialog title={`End ${keyId} at a date`} onClose={onClose}>
      <form onSubmit={submit}>
        <Stack>
          <Text size="sm">
            Until then it signs as before; afterwards what it signs is refused. A date can be moved nearer,
            never away.
          </Text>
          <TextInput
            type="datetime-local"
            label="It is refused from"
            description="By your clock. A date that has passed ends it now."
            step={1}
            required
            withAsterisk={false}
            value={date}
            onChange={(event) => setDate(event.currentTarget.value)}
          />
          {end.error !== null && <Trouble error={end.error} />}
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button type="submit" loading={end.isPending}>
              End it then
            </Button>
          </Group>
        </Stack>
      </form>
    </Dialog>
  );
}
