import { Badge, Button, Group, Stack, Table, Text } from '@mantine/core';
import { Fragment, useState } from 'react';
import type { Schema } from '../../api/schema.ts';
import { Facts, type Fact } from '../../parts/facts.tsx';
import { Moment } from '../../parts/moment.tsx';
import { Name, PlayerName } from '../../parts/player-name.tsx';
import { Raw } from '../../parts/raw.tsx';
import { heard, Sheet, type Column } from '../../parts/sheet.tsx';
import { visible, visibleName } from '../../parts/visible.ts';

type RecentEvent = Schema<'RecentEvent'>;
type RoleState = Schema<'RoleOutcome'>['state'];

const COLUMNS: readonly Column[] = [
  ...['Outcome', 'Received', 'Type', 'Player', 'What came of it'].map((name) => ({ name, miw: 130 })),
  heard('More of it'),
];
const ROLE_COLORS: Record<RoleState, string> = {
  applied: 'green',
  waiting: 'yellow',
  dead: 'red',
  barred: 'gray',
};

/** Events with what came of each; the rest of what is known of one opens below it. */
export function EventTable({ events }: { readonly events: readonly RecentEvent[] }) {
  const [open, setOpen] = useState<string | null>(null);
  return (
    <Sheet label="Events" columns={COLUMNS} minWidth={860} verticalSpacing={4}>
      {keyed(events).map(({ key, event }) => (
        <Fragment key={key}>
          <Row event={event} isOpen={open === key} onToggle={() => setOpen(open === key ? null : key)} />
          {open === key && (
            <Table.Tr>
              <Table.Td colSpan={COLUMNS.length}>
                <Whole event={event} />
              </Table.Td>
            </Table.Tr>
          )}
        </Fragment>
      ))}
    </Sheet>
  );
}

/** An id can come many times, and a refused event may have none: what is alike is told apart by its number, counted from the oldest. */
function keyed(events: readonly RecentEvent[]): { readonly key: string; readonly event: RecentEvent }[] {
  const seen = new Map<string, number>();
  return events
    .toReversed()
    .map((event) => {
      const name = `${event.receivedAt} ${event.outcome} ${event.eventId ?? ''}`;
      const number = (seen.get(name) ?? 0) + 1;
      seen.set(name, number);
      return { key: `${name} ${number}`, event };
    })
    .toReversed();
}

function Row({
  event,
  isOpen,
  onToggle,
}: {
  readonly event: RecentEvent;
  readonly isOpen: boolean;
  readonly onToggle: () => void;
}) {
  const isRefused = event.outcome === 'refused';
  return (
    <Table.Tr>
      <Table.Td>
        <Badge variant="light" color={isRefused ? 'red' : 'green'}>
          {event.outcome}
        </Badge>
        {!event.verified && (
          <Badge size="xs" color="gray" variant="light" ml={6}>
            unverified
          </Badge>
        )}
      </Table.Td>
      <Table.Td>
        <Moment at={event.receivedAt} />
      </Table.Td>
      <Table.Td>
        <Name>{event.type ?? '—'}</Name>
        {!isRefused && !event.mapped && (
          <Badge size="xs" color="yellow" variant="light" ml={6}>
            unmapped
          </Badge>
        )}
      </Table.Td>
      <Table.Td>{event.playerId === null ? '—' : <PlayerName id={event.playerId} />}</Table.Td>
      <Table.Td>
        {isRefused ? (
          <Text size="sm" span style={{ overflowWrap: 'anywhere' }}>
            <b>{event.code ?? 'refused'}</b>
            {event.pointer !== null && ` at ${event.pointer}`}
          </Text>
        ) : (
          <Roles roles={event.roles} />
        )}
      </Table.Td>
      <Table.Td>
        <Button
          size="compact-xs"
          variant="default"
          aria-expanded={isOpen}
          aria-label={`${isOpen ? 'Hide' : 'Show'} event ${visibleName(event.eventId ?? event.receivedAt)}`}
          onClick={onToggle}
        >
          {isOpen ? 'Hide' : 'Show'}
        </Button>
      </Table.Td>
    </Table.Tr>
  );
}

/** Good news is one mark; a role in which it went otherwise is named. */
function Roles({ roles }: Pick<RecentEvent, 'roles'>) {
  const others = roles.filter(({ state }) => state !== 'applied');
  if (others.length === 0)
    return (
      <Badge size="sm" variant="light" color={ROLE_COLORS.applied} tt="none">
        applied by every role
      </Badge>
    );
  return (
    <Group gap={4}>
      {others.map(({ role, state }) => (
        <Badge key={role} size="sm" variant="light" color={ROLE_COLORS[state]} tt="none">
          {role}: {state}
        </Badge>
      ))}
      {others.length < roles.length && (
        <Text size="xs" c="dimmed">
          applied by the others
        </Text>
      )}
    </Group>
  );
}

function Whole({ event }: { readonly event: RecentEvent }) {
  return (
    <Stack gap="sm" pb="sm">
      {event.detail !== null && (
        <Text size="sm" dir="auto" style={{ overflowWrap: 'anywhere' }}>
          {visible(event.detail)}
        </Text>
      )}
      <Facts facts={factsOf(event)} />
      {event.payload !== null && (
        <Raw text={JSON.stringify(event.payload, null, 2)} label="Payload" height={260} />
      )}
      {event.snippet !== null && <Raw text={event.snippet} label="What was sent" height={260} />}
    </Stack>
  );
}

const factsOf = (event: RecentEvent): Fact[] => [
  ['Event id', <Name>{event.eventId ?? 'none'}</Name>],
  ['Its own time', event.at === null ? 'none' : <Moment at={event.at} />],
  [
    event.verified ? 'Signed with' : 'Claims the key',
    event.keyId === null ? 'not known' : <Name>{event.keyId}</Name>,
  ],
  ['Sent by', event.src === null ? 'not known' : event.src === 'server' ? 'a server' : 'a game client'],
  ['Build', <Name>{[event.build ?? 'not told', event.platform].filter(Boolean).join(', ')}</Name>],
  ...(event.outcome === 'refused'
    ? []
    : [
        [
          'Came',
          [event.late ? 'late' : 'in time', event.replay ? 'in a replay' : ''].filter(Boolean).join(', '),
        ] as const,
      ]),
  ...(event.definitionVersion === null
    ? []
    : [['Definition', `version ${event.definitionVersion}`] as const]),
];
