import { Anchor, Badge, Button, Card, Container, Group, Stack, Table, Text } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from 'wouter';
import { api, dataOf, OWN_PAGE, session } from '../../api/client.ts';
import { DataState, Trouble } from '../../parts/data-state.tsx';
import { Moment } from '../../parts/moment.tsx';
import { Name } from '../../parts/player-name.tsx';
import { Page } from '../../parts/page.tsx';
import { heard, Sheet } from '../../parts/sheet.tsx';
import { useMe } from '../../shell/session.ts';
import { PasswordCard } from './password-card.tsx';

/** The viewer's own password and sessions. */
export function Account() {
  const me = useMe();
  return (
    <Container component="main" size="md" py="xl">
      <Page
        title="Account"
        about={`Signed in as ${me.username}.`}
        actions={
          <Anchor component={Link} href="/">
            Back to the game
          </Anchor>
        }
      >
        {me.source === 'local' && <PasswordCard />}
        <SessionsCard />
      </Page>
    </Container>
  );
}

function SessionsCard() {
  const client = useQueryClient();
  const sessions = useQuery({
    queryKey: ['sessions'],
    queryFn: () => dataOf(api.GET('/admin/v1/auth/sessions')),
  });
  const end = useMutation({
    mutationFn: (sessionId: string) =>
      dataOf(
        api.DELETE('/admin/v1/auth/sessions/{sessionId}', {
          params: { path: { sessionId }, header: OWN_PAGE },
        }),
      ),
    onSuccess: () => client.invalidateQueries({ queryKey: ['sessions'] }),
  });
  const endAll = useMutation({
    mutationFn: () => dataOf(api.DELETE('/admin/v1/auth/sessions', { params: { header: OWN_PAGE } })),
    onSuccess: () => session.end('You are signed out everywhere.'),
  });
  return (
    <Card withBorder>
      <Stack>
        <Group justify="space-between">
          <Text fw={600}>Sessions</Text>
          <Button color="red" variant="light" loading={endAll.isPending} onClick={() => endAll.mutate()}>
            Sign out everywhere
          </Button>
        </Group>
        {(end.error ?? endAll.error) !== null && <Trouble error={end.error ?? endAll.error} />}
        <DataState query={sessions}>
          {({ items }) => (
            <Sheet
              label="Sessions"
              columns={['Browser', 'Address', 'Since', 'Last used', heard('What can be done')]}
              minWidth={560}
              verticalSpacing="sm"
            >
              {items.map((one) => (
                <Table.Tr key={one.sessionId}>
                  <Table.Td style={{ overflowWrap: 'anywhere' }}>
                    <Name>{one.client}</Name> {one.isCurrent && <Badge size="xs">this one</Badge>}
                  </Table.Td>
                  <Table.Td>{one.address}</Table.Td>
                  <Table.Td>
                    <Moment at={one.createdAt} />
                  </Table.Td>
                  <Table.Td>
                    <Moment at={one.lastUsedAt} />
                  </Table.Td>
                  <Table.Td>
                    {!one.isCurrent && (
                      <Button size="compact-sm" variant="default" onClick={() => end.mutate(one.sessionId)}>
                        End
                      </Button>
                    )}
                  </Table.Td>
                </Table.Tr>
              ))}
            </Sheet>
          )}
        </DataState>
      </Stack>
    </Card>
  );
}
