import { Badge, Button, Group, Menu, Table, Text } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api, dataOf, OWN_PAGE } from '../../api/client.ts';
import type { Schema } from '../../api/schema.ts';
import { DataState } from '../../parts/data-state.tsx';
import { Decide } from '../../parts/decide.tsx';
import { Moment } from '../../parts/moment.tsx';
import { Page } from '../../parts/page.tsx';
import { Reveal } from '../../parts/reveal.tsx';
import { heard, Sheet } from '../../parts/sheet.tsx';
import { useGame } from '../../shell/game.ts';
import { EndKey } from './end-key.tsx';
import { NewKeyForm } from './new-key.tsx';
import { RotateKey } from './rotate-key.tsx';

type SigningKey = Schema<'SigningKey'>;

const COLORS: Record<SigningKey['state'], string> = {
  pending: 'blue',
  active: 'green',
  retiring: 'yellow',
  retired: 'gray',
  revoked: 'red',
};

/** As many as the service lists. */
const LISTED_MAX = 1000;
const CUT = ' The first 1,000 are shown: those that have not ended, then the newest.';

/** The signing keys of a game: who may post events, and until when. */
export function Keys() {
  const { gameId } = useGame();
  const keys = useQuery({
    queryKey: ['keys', gameId],
    queryFn: () => dataOf(api.GET('/admin/v1/games/{gameId}/keys', { params: { path: { gameId } } })),
    refetchInterval: 10_000,
  });
  const isCut = (keys.data?.items.length ?? 0) >= LISTED_MAX;
  const [isAdding, setAdding] = useState(false);
  const [rotating, setRotating] = useState<string | null>(null);
  const [ending, setEnding] = useState<SigningKey | null>(null);
  const [revoking, setRevoking] = useState<string | null>(null);
  const [issued, setIssued] = useState<{ readonly keyId: string; readonly secret: string } | null>(null);
  const client = useQueryClient();
  const seeAgain = () => client.invalidateQueries({ queryKey: ['keys', gameId] });
  const show = (made: { readonly keyId: string; readonly secret: string }) => {
    setIssued(made);
    setAdding(false);
    setRotating(null);
    void seeAgain();
  };
  const revoke = useMutation({
    mutationFn: (reason: string) =>
      dataOf(
        api.POST('/admin/v1/games/{gameId}/keys/{keyId}/revoke', {
          params: { path: { gameId, keyId: revoking ?? '' }, header: OWN_PAGE },
          body: { reason },
        }),
      ),
    onSuccess: async () => {
      await seeAgain();
      setRevoking(null);
    },
  });
  return (
    <Page
      title="Keys"
      about={`What signs events. Rotate a key with an overlap, so that no client is refused meanwhile.${isCut ? CUT : ''}`}
      actions={<Button onClick={() => setAdding(true)}>New key</Button>}
    >
      <DataState
        query={keys}
        isEmpty={({ items }) => items.length === 0}
        empty="No key yet: make one, and clients can post events."
      >
        {({ items }) => (
          <Sheet
            label="Signing keys"
            columns={[
              'Key',
              'State',
              'May',
              'Signs for',
              'Last used',
              'Valid until',
              heard('What can be done'),
            ]}
            minWidth={720}
            verticalSpacing="sm"
          >
            {items.map((key) => (
              <KeyRow
                key={key.keyId}
                signingKey={key}
                onRotate={() => setRotating(key.keyId)}
                onEnd={() => setEnding(key)}
                onRevoke={() => setRevoking(key.keyId)}
              />
            ))}
          </Sheet>
        )}
      </DataState>
      {isAdding && <NewKeyForm onClose={() => setAdding(false)} onIssued={show} />}
      {rotating !== null && <RotateKey keyId={rotating} onClose={() => setRotating(null)} onIssued={show} />}
      {ending !== null && (
        <EndKey
          keyId={ending.keyId}
          notAfter={ending.notAfter}
          onClose={() => setEnding(null)}
          onEnded={() => {
            setEnding(null);
            void seeAgain();
          }}
        />
      )}
      <Reveal
        title={`Secret of ${issued?.keyId ?? ''}`}
        secret={issued?.secret ?? null}
        onClose={() => setIssued(null)}
      >
        Give it to the client or server that signs with <b>{issued?.keyId}</b>.
      </Reveal>
      <Decide
        isOpen={revoking !== null}
        onClose={() => setRevoking(null)}
        title={`Revoke ${revoking ?? ''}?`}
        action="Revoke at once"
        isDangerous
        needsReason
        isBusy={revoke.isPending}
        error={revoke.error}
        onDecide={(reason) => revoke.mutate(reason)}
      >
        Every client that signs with it is refused from now on. It cannot be taken back; events that were
        accepted stay.
      </Decide>
    </Page>
  );
}

function KeyRow({
  signingKey: key,
  onRotate,
  onEnd,
  onRevoke,
}: {
  readonly signingKey: SigningKey;
  readonly onRotate: () => void;
  readonly onEnd: () => void;
  readonly onRevoke: () => void;
}) {
  const isOver = key.state === 'revoked' || key.state === 'retired';
  return (
    <Table.Tr>
      <Table.Td>
        <Text ff="monospace" size="sm">
          {key.keyId}
        </Text>
        {key.debug && <Badge size="xs">debug</Badge>}
      </Table.Td>
      <Table.Td>
        <Badge color={COLORS[key.state]} variant="light">
          {key.state}
        </Badge>
      </Table.Td>
      <Table.Td>{key.scopes.join(', ')}</Table.Td>
      <Table.Td>{key.trust === 'server' ? 'servers' : 'game clients'}</Table.Td>
      <Table.Td>{key.lastUsedAt === null ? 'never' : <Moment at={key.lastUsedAt} />}</Table.Td>
      <Table.Td>{key.notAfter === null ? 'no end' : <Moment at={key.notAfter} />}</Table.Td>
      <Table.Td>
        {!isOver && (
          <Group justify="flex-end">
            <Menu position="bottom-end">
              <Menu.Target>
                <Button variant="default" size="compact-sm" aria-label={`What to do with ${key.keyId}`}>
                  …
                </Button>
              </Menu.Target>
              <Menu.Dropdown>
                <Menu.Item onClick={onRotate}>Rotate</Menu.Item>
                <Menu.Item onClick={onEnd}>End at a date</Menu.Item>
                <Menu.Item color="red" onClick={onRevoke}>
                  Revoke
                </Menu.Item>
              </Menu.Dropdown>
            </Menu>
          </Group>
        )}
      </Table.Td>
    </Table.Tr>
  );
}
