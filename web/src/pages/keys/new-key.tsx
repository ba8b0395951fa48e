import { Button, Checkbox, Group, SegmentedControl, Stack, Switch, Text, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState, type SubmitEvent } from 'react';
import { api, dataOf, OWN_PAGE } from '../../api/client.ts';
import type { Schema } from '../../api/schema.ts';
import { Trouble } from '../../parts/data-state.tsx';
import { Dialog } from '../../parts/dialog.tsx';
import { useGame } from '../../shell/game.ts';

type Scope = Schema<'KeyScope'>;
const SCOPES: readonly { readonly value: Scope; readonly label: string }[] = [
  { value: 'ingest', label: 'post events' },
  { value: 'read', label: 'read player data' },
  { value: 'sessions', label: 'open sessions for players' },
  { value: 'replay', label: 'replay old events' },
];
type Trust = 'server' | 'client';

/** A new signing key; its secret is shown once, when it is made. */
export function NewKeyForm({
  onClose,
  onIssued,
}: {
  readonly onClose: () => void;
  readonly onIssued: (made: { readonly keyId: string; readonly secret: string }) => void;
}) {
  const { gameId } = useGame();
  const [keyId, setKeyId] = useState('');
  const [scopes, setScopes] = useState<Scope[]>(['ingest']);
  const [trust, setTrust] = useState<Trust>('server');
  const [debug, setDebug] = useState(false);
  const make = useMutation({
    mutationFn: () =>
      dataOf(
        api.POST('/admin/v1/games/{gameId}/keys', {
          params: { path: { gameId }, header: OWN_PAGE },
          body: { scopes, trust, debug, ...(keyId === '' ? {} : { keyId }) },
        }),
      ),
    onSuccess: ({ key, secret }) => onIssued({ keyId: key.keyId, secret }),
  });
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    make.mutate();
  };
  return (
    <Dialog title="New key" onClose={onClose}>
      <form onSubmit={submit}>
        <Stack>
          <TextInput
            label="Name"
            description="Empty: one is made. Letters, digits, dots, hyphens."
            value={keyId}
            onChange={(event) => setKeyId(event.currentTarget.value)}
          />
          <Checkbox.Group label="What it may do" value={scopes} onChange={(names) => setScopes(names)}>
            <Stack gap={6} mt="xs">
              {SCOPES.map(({ value, label }) => (
                <Checkbox key={value} value={value} label={label} />
              ))}
            </Stack>
          </Checkbox.Group>
          <div>
            <Text size="sm" fw={500} mb={4}>
              Who signs with it
            </Text>
            <SegmentedControl
              value={trust}
              onChange={(value) => setTrust(value)}
              data={[
                { value: 'server', label: 'a server of ours' },
                { value: 'client', label: 'game clients' },
              ]}
            />
            <Text size="xs" c="dimmed" mt={4}>
              A secret inside a game client can be read out of it: give clients sessions where you can.
            </Text>
          </div>
          <Switch
            label="Show its events in the debugger"
            checked={debug}
            onChange={(event) => setDebug(event.currentTarget.checked)}
          />
          {make.error !== null && <Trouble error={make.error} />}
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button type="submit" loading={make.isPending} disabled={scopes.length === 0}>
              Make the key
            </Button>
          </Group>
        </Stack>
      </form>
    </Dialog>
  );
}
