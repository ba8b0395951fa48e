import { Button, Group, Select, Stack, Text } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { api, dataOf, OWN_PAGE } from '../../api/client.ts';
import { Trouble } from '../../parts/data-state.tsx';
import { Dialog } from '../../parts/dialog.tsx';
import { useGame } from '../../shell/game.ts';

const OVERLAPS = [
  { value: '60', label: 'a minute' },
  { value: '3600', label: 'an hour' },
  { value: '86400', label: 'a day' },
  { value: '604800', label: 'a week' },
  { value: '2592000', label: '30 days' },
];

/** A new key beside an old one, which goes on for as long as clients need to change over. */
export function RotateKey({
  keyId,
  onClose,
  onIssued,
}: {
  readonly keyId: string;
  readonly onClose: () => void;
  readonly onIssued: (made: { readonly keyId: string; readonly secret: string }) => void;
}) {
  const { gameId } = useGame();
  const [overlap, setOverlap] = useState('604800');
  const rotate = useMutation({
    mutationFn: () =>
      dataOf(
        api.POST('/admin/v1/games/{gameId}/keys/{keyId}/rotate', {
          params: { path: { gameId, keyId }, header: OWN_PAGE },
          body: { overlapSeconds: Number(overlap) },
        }),
      ),
    onSuccess: ({ key, secret }) => onIssued({ keyId: key.keyId, secret }),
  });
  return (
    <Dialog title={`Rotate ${keyId}`} onClose={onClose}>
      <Stack>
        <Text size="sm">
          A new key with the same rights is made now. Both are accepted until the old one ends; the list shows
          when the old one was last used.
        </Text>
        <Select
          label="The old key goes on for"
          data={OVERLAPS}
          allowDeselect={false}
          value={overlap}
          onChange={(value) => setOverlap(value ?? overlap)}
        />
        {rotate.error !== null && <Trouble error={rotate.error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button loading={rotate.isPending} onClick={() => rotate.mutate()}>
            Rotate
          </Button>
        </Group>
      </Stack>
    </Dialog>
  );
}
