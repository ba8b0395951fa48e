import { Badge, Button, Group, Select, Stack, Table, TextInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState, type SubmitEvent } from 'react';
import { api, dataOf, OWN_PAGE } from '../../api/client.ts';
import type { Schema } from '../../api/schema.ts';
import { Trouble } from '../../parts/data-state.tsx';
import { Dialog } from '../../parts/dialog.tsx';
import { Decide } from '../../parts/decide.tsx';
import { Listing } from '../../parts/listing.tsx';
import { Moment } from '../../parts/moment.tsx';
import { Page } from '../../parts/page.tsx';
import { Name } from '../../parts/player-name.tsx';
import { Reveal } from '../../parts/reveal.tsx';
import { heard } from '../../parts/sheet.tsx';
import { usePages } from '../../parts/use-pages.ts';
import { useGame } from '../../shell/game.ts';
import { GAME_ROLES, type GameRole } from '../../shell/roles.ts';
import { useMe } from '../../shell/session.ts';

type Member = Schema<'Member'>;

const ABOUT_ROLES = [
  { value: 'viewer', label: 'viewer: sees everything' },
  { value: 'analyst', label: 'analyst: judges cases, too' },
  { value: 'operator', label: 'operator: redrives, rebuilds, hides, too' },
  { value: 'admin', label: 'admin: keys, users, definitions, replays, too' },
];

/** Who may do what in this game. */
export function Users() {
  const { gameId } = useGame();
  const me = useMe();
  const client = useQueryClient();
  const pages = usePages<Member>(['users', gameId], (cursor) =>
    dataOf(
      api.GET('/admin/v1/games/{gameId}/users', {
        params: { path: { gameId }, query: cursor === undefined ? {} : { cursor } },
      }),
    ),
  );
  const [isAdding, setAdding] = useState(false);
  const [removing, setRemoving] = useState<Member | null>(null);
  const [first, setFirst] = useState<{ readonly username: string; readonly password: string } | null>(null);
  const seeAgain = () => client.invalidateQueries({ queryKey: ['users', gameId] });
  const remove = useMutation({
    mutationFn: (userId: string) =>
      dataOf(
        api.DELETE('/admin/v1/games/{gameId}/users/{userId}', {
          params: { path: { gameId, userId }, header: OWN_PAGE },
        }),
      ),
    onSuccess: async () => {
      await seeAgain();
      setRemoving(null);
    },
  });
  return (
    <Page
      title="Users"
      about="Who may do what in this game. A change of role holds within a minute, on open pages too."
      actions={<Button onClick={() => setAdding(true)}>Add a user</Button>}
    >
      <Listing
        pages={pages}
        empty="Nobody has a role in this game yet. Admins of every game may do everything here and are not listed."
        label="Users"
        columns={['Name', 'Signs in with', 'Role', 'Since', 'Last signed in', heard('What can be done')]}
        minWidth={640}
        verticalSpacing="sm"
        row={(member) => (
          <MemberRow
            key={member.userId}
            member={member}
            isMe={member.userId === me.userId}
            onChanged={() => void seeAgain()}
            onRemove={() => setRemoving(member)}
            onReset={(password) => setFirst({ username: member.username, password })}
          />
        )}
      />
      {isAdding && (
        <AddUser
          onClose={() => setAdding(false)}
          onAdded={(username, password) => {
            setAdding(false);
            void seeAgain();
            if (password !== null) setFirst({ username, password });
          }}
        />
      )}
      <Reveal
        title={`First password of ${first?.username ?? ''}`}
        secret={first?.password ?? null}
        onClose={() => setFirst(null)}
      >
        It is changed at the first sign-in.
      </Reveal>
      <Decide
        isOpen={removing !== null}
        onClose={() => setRemoving(null)}
        title={`Remove ${removing?.username ?? ''} from this game?`}
        action="Remove"
        isDangerous
        isBusy={remove.isPending}
        error={remove.error}
        onDecide={() => remove.mutate(removing?.userId ?? '')}
      >
        They see nothing of this game any more, within a minute. What they did stays in the audit log.
      </Decide>
    </Page>
  );
}

function MemberRow({
  member,
  isMe,
  onChanged,
  onRemove,
  onReset,
}: {
  readonly member: Member;
  readonly isMe: boolean;
  readonly onChanged: () => void;
  readonly onRemove: () => void;
  readonly onReset: (password: string) => void;
}) {
  const { gameId } = useGame();
  const path = { gameId, userId: member.userId };
  const setRole = useMutation({
    mutationFn: (role: GameRole) =>
      dataOf(
        api.PUT('/admin/v1/games/{gameId}/users/{userId}', {
          params: { path, header: OWN_PAGE },
          body: { role },
        }),
      ),
    onSuccess: onChanged,
  });
  const reset = useMutation({
    mutationFn: () =>
      dataOf(
        api.POST('/admin/v1/games/{gameId}/users/{userId}/password-reset', {
          params: { path, header: OWN_PAGE },
        }),
      ),
    onSuccess: ({ firstPassword }) => onReset(firstPassword),
  });
  return (
    <Table.Tr>
      <Table.Td>
        <Name>{member.username}</Name> {isMe && <Badge size="xs">you</Badge>}
      </Table.Td>
      <Table.Td>{member.source === 'local' ? 'a password' : 'the issuer'}</Table.Td>
      <Table.Td>
        <Select
          aria-label={`Role of ${member.username}`}
          size="xs"
          w={130}
          allowDeselect={false}
          disabled={isMe || setRole.isPending}
          data={[...GAME_ROLES]}
          value={member.role}
          error={setRole.error?.message}
          onChange={(role) => role !== null && setRole.mutate(role)}
        />
      </Table.Td>
      <Table.Td>
        <Moment at={member.since} />
      </Table.Td>
      <Table.Td>{member.lastSignInAt === null ? 'never' : <Moment at={member.lastSignInAt} />}</Table.Td>
      <Table.Td>
        {!isMe && (
          <Group justify="flex-end" gap="xs" wrap="nowrap">
            {member.source === 'local' && (
              <Button
                size="compact-sm"
                variant="default"
                loading={reset.isPending}
                onClick={() => reset.mutate()}
              >
                New password
              </Button>
            )}
            <Button size="compact-sm" variant="default" color="red" onClick={onRemove}>
              Remove
            </Button>
          </Group>
        )}
      </Table.Td>
    </Table.Tr>
  );
}

function AddUser({
  onClose,
  onAdded,
}: {
  readonly onClose: () => void;
  readonly onAdded: (username: string, firstPassword: string | null) => void;
}) {
  const { gameId } = useGame();
  const [username, setUsername] = useState('');
  const [subject, setSubject] = useState('');
  const [role, setRole] = useState<GameRole>('viewer');
  const add = useMutation({
    mutationFn: () =>
      dataOf(
        api.POST('/admin/v1/games/{gameId}/users', {
          params: { path: { gameId }, header: OWN_PAGE },
          body: { username, role, ...(subject === '' ? {} : { subject }) },
        }),
      ),
    onSuccess: ({ member, firstPassword }) => onAdded(member.username, firstPassword),
  });
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    add.mutate();
  };
  return (
    <Dialog title="Add a user" onClose={onClose}>
      <form onSubmit={submit}>
        <Stack>
          <TextInput
            label="Name"
            required
            data-autofocus
            value={username}
            onChange={(event) => setUsername(event.currentTarget.value)}
          />
          <Select
            label="Role"
            data={ABOUT_ROLES}
            allowDeselect={false}
            value={role}
            onChange={(value) => setRole((value ?? role) as GameRole)}
          />
          <TextInput
            label="Subject at the issuer"
            description="For who signs in with the studio's issuer: their `sub`. Empty: a password is made."
            value={subject}
            onChange={(event) => setSubject(event.currentTarget.value)}
          />
          {add.error !== null && <Trouble error={add.error} />}
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button type="submit" loading={add.isPending}>
              Add
            </Button>
          </Group>
        </Stack>
      </form>
    </Dialog>
  );
}
