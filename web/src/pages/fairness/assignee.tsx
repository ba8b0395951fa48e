import { Button, Group, Select, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { api, dataOf } from '../../api/client.ts';
import { visibleName } from '../../parts/visible.ts';
import { useGame } from '../../shell/game.ts';
import { mayAct } from '../../shell/roles.ts';
import { useMe } from '../../shell/session.ts';
import { useDecisions, type Case } from './case-state.ts';

/** Whose a case is. Whoever may judge can take it; an admin, who sees the users, can give it to any of them. */
export function Assignee({ one }: { readonly one: Case }) {
  const { may } = useGame();
  return may('admin') ? <Give one={one} /> : <Take one={one} />;
}

const JUDGES = 200;

function Give({ one }: { readonly one: Case }) {
  const { gameId } = useGame();
  const { assign } = useDecisions(one.caseId);
  const users = useQuery({
    queryKey: ['users', gameId, 'judges'],
    queryFn: () =>
      dataOf(
        api.GET('/admin/v1/games/{gameId}/users', { params: { path: { gameId }, query: { limit: JUDGES } } }),
      ),
    staleTime: 60_000,
  });
  const judges = new Map(
    (users.data?.items ?? [])
      .filter(({ role }) => mayAct(role, 'analyst'))
      .map(({ userId, username }) => [userId, visibleName(username)]),
  );
  if (one.assignee !== null) judges.set(one.assignee.userId, visibleName(one.assignee.username));
  return (
    <Select
      aria-label="Assigned to"
      size="xs"
      w={180}
      placeholder="Nobody’s"
      clearable
      searchable
      disabled={assign.isPending}
      error={assign.error?.message}
      data={[...judges].map(([value, label]) => ({ value, label }))}
      value={one.assignee?.userId ?? null}
      onChange={(userId) => assign.mutate(userId)}
    />
  );
}

function Take({ one }: { readonly one: Case }) {
  const me = useMe();
  const { assign } = useDecisions(one.caseId);
  const isMine = one.assignee?.userId === me.userId;
  return (
    <Group gap="xs">
      <Text size="sm">
        {one.assignee === null ? 'Nobody’s' : isMine ? 'Yours' : visibleName(one.assignee.username)}
      </Text>
      <Button
        size="compact-xs"
        variant="default"
        loading={assign.isPending}
        onClick={() => assign.mutate(isMine ? null : me.userId)}
      >
        {isMine ? 'Give it back' : 'Take it'}
      </Button>
      {assign.error !== null && (
        <Text size="xs" c="red" role="alert">
          {assign.error.message}
        </Text>
      )}
    </Group>
  );
}
