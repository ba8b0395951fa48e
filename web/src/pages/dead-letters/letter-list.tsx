import { Badge, Button, Group, Select, Table, TextInput } from '@mantine/core';
import { useDebouncedCallback } from '@mantine/hooks';
import { useState } from 'react';
import { api, dataOf } from '../../api/client.ts';
import type { Schema } from '../../api/schema.ts';
import { GoesTo } from '../../parts/goes-to.tsx';
import { Listing } from '../../parts/listing.tsx';
import { Moment } from '../../parts/moment.tsx';
import { Panel } from '../../parts/panel.tsx';
import { Name, PlayerName } from '../../parts/player-name.tsx';
import { usePages } from '../../parts/use-pages.ts';
import { useGame } from '../../shell/game.ts';
import { DropLetters } from './drop-letters.tsx';
import { ROLES, selectionOf, STATE_COLORS, STATES, type LetterFilter } from './letter-filter.ts';
import { RedriveLetters } from './redrive-letters.tsx';

type Item = Schema<'LetterItem'>;
type Names = 'role' | 'state' | 'reason' | 'player';
export type FilterChange = (change: Readonly<Partial<Record<Names, string | undefined>>>) => void;

const TYPING_MS = 300;

/** The letters that fit, newest first, and what can be decided about all of them at once. */
export function LetterList({
  filter,
  onFilter,
}: {
  readonly filter: LetterFilter;
  readonly onFilter: FilterChange;
}) {
  const { gameId, may } = useGame();
  const [deciding, setDeciding] = useState<'redrive' | 'drop' | null>(null);
  const pages = usePages<Item>(
    ['letters', gameId, 'list', filter],
    (cursor) =>
      dataOf(
        api.GET('/admin/v1/games/{gameId}/dead-letters', {
          params: { path: { gameId }, query: { ...filter, ...(cursor === undefined ? {} : { cursor }) } },
        }),
      ),
    { refetchIntervalMs: 10_000 },
  );
  const canDecide =
    may('operator') && (filter.state ?? 'open') === 'open' && (pages.list.data?.length ?? 0) > 0;
  const close = () => setDeciding(null);
  return (
    <Panel
      title="Letters"
      aside={
        canDecide && (
          <Group gap="xs">
            <Button size="compact-md" onClick={() => setDeciding('redrive')}>
              Send again…
            </Button>
            <Button size="compact-md" color="red" variant="light" onClick={() => setDeciding('drop')}>
              Drop…
            </Button>
          </Group>
        )
      }
    >
      <Filters filter={filter} onFilter={onFilter} />
      <Listing
        pages={pages}
        isEmptyGood={filter.state === 'open'}
        empty={
          filter.state === 'open'
            ? 'No open letter. One would stand here with the message as it came, to be sent again or dropped.'
            : 'No letter fits.'
        }
        label="Dead letters"
        columns={['Letter', 'State', 'Role', 'Reason', 'Event', 'Player', 'Tries', 'Last seen']}
        minWidth={860}
        verticalSpacing="sm"
        row={(item) => <Row key={item.letterId} item={item} />}
      />
      {deciding === 'redrive' && <RedriveLetters select={selectionOf(filter)} onClose={close} />}
      {deciding === 'drop' && <DropLetters select={selectionOf(filter)} onClose={close} />}
    </Panel>
  );
}

function Filters({ filter, onFilter }: { readonly filter: LetterFilter; readonly onFilter: FilterChange }) {
  const [reason, setReason] = useState(filter.reason ?? '');
  const [player, setPlayer] = useState(filter.playerId ?? '');
  const later = useDebouncedCallback(onFilter, TYPING_MS);
  // Picked in the tally, not typed here.
  const [seen, setSeen] = useState(filter.reason);
  if (seen !== filter.reason) {
    setSeen(filter.reason);
    setReason(filter.reason ?? '');
  }
  return (
    <Group align="flex-end" gap="sm">
      <Select
        label="Role"
        w={150}
        data={[{ value: '', label: 'every role' }, ...ROLES]}
        allowDeselect={false}
        value={filter.role ?? ''}
        onChange={(role) => onFilter({ role: role ?? undefined })}
      />
      <Select
        label="State"
        w={150}
        data={[{ value: 'all', label: 'every state' }, ...STATES]}
        allowDeselect={false}
        value={filter.state ?? 'all'}
        onChange={(state) => onFilter({ state: state ?? undefined })}
      />
      <TextInput
        label="Reason"
        w={180}
        value={reason}
        onChange={(event) => {
          setReason(event.currentTarget.value);
          later({ reason: event.currentTarget.value.trim() });
        }}
      />
      <TextInput
        label="Player"
        w={180}
        dir="auto"
        value={player}
        onChange={(event) => {
          setPlayer(event.currentTarget.value);
          later({ player: event.currentTarget.value });
        }}
      />
    </Group>
  );
}

function Row({ item }: { readonly item: Item }) {
  const { to } = useGame();
  return (
    <Table.Tr>
      <Table.Td>
        <GoesTo href={to('dead-letters', String(item.letterId))}>{item.letterId}</GoesTo>
      </Table.Td>
      <Table.Td>
        <Badge variant="light" color={STATE_COLORS[item.state]}>
          {item.state}
        </Badge>
      </Table.Td>
      <Table.Td>{item.role}</Table.Td>
      <Table.Td>{item.reason}</Table.Td>
      <Table.Td>
        <Name>{item.eventType ?? 'unreadable'}</Name>
      </Table.Td>
      <Table.Td>{item.playerId === '' ? '—' : <PlayerName id={item.playerId} />}</Table.Td>
      <Table.Td>{item.attempts}</Table.Td>
      <Table.Td>
        <Moment at={item.lastSeenAt} />
      </Table.Td>
    </Table.Tr>
  );
}
