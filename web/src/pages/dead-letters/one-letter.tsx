import { Alert, Badge, Button, Group, SegmentedControl, Stack, Table, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api, dataOf } from '../../api/client.ts';
import type { Schema } from '../../api/schema.ts';
import { DataState } from '../../parts/data-state.tsx';
import { Facts, type Fact } from '../../parts/facts.tsx';
import { Moment } from '../../parts/moment.tsx';
import { Panel } from '../../parts/panel.tsx';
import { Name, PlayerName, Said } from '../../parts/player-name.tsx';
import { Raw } from '../../parts/raw.tsx';
import { pretty, visible } from '../../parts/visible.ts';
import { useGame } from '../../shell/game.ts';
import { DropLetters } from './drop-letters.tsx';
import { STATE_COLORS } from './letter-filter.ts';
import { RedriveLetters } from './redrive-letters.tsx';

type Letter = Schema<'Letter'>;

const DONE: Record<NonNullable<Letter['action']>['action'], string> = {
  redrive: 'Sent again',
  drop: 'Dropped',
  correct: 'Corrected',
  reconcile: 'Sent again by the reconciler',
  set_aside: 'Set aside',
};

/** One letter: why it lies here, the message as it came, and what was decided. */
export function OneLetter({ letterId }: { readonly letterId: number }) {
  const { gameId } = useGame();
  const letter = useQuery({
    queryKey: ['letters', gameId, 'one', letterId],
    queryFn: () =>
      dataOf(
        api.GET('/admin/v1/games/{gameId}/dead-letters/{letterId}', {
          params: { path: { gameId, letterId } },
        }),
      ),
    refetchInterval: 5_000,
  });
  return (
    <DataState query={letter}>
      {(data) => (
        <>
          <Why letter={data} />
          <Message letter={data} />
        </>
      )}
    </DataState>
  );
}

function Why({ letter }: { readonly letter: Letter }) {
  const { may } = useGame();
  const { item, action } = letter;
  const [deciding, setDeciding] = useState<'redrive' | 'drop' | null>(null);
  const select = { letterIds: [item.letterId] };
  const close = () => setDeciding(null);
  return (
    <Panel
      title={`${item.role}: ${item.reason}`}
      aside={
        <Group gap="xs">
          <Badge variant="light" color={STATE_COLORS[item.state]}>
            {item.state}
          </Badge>
          {item.state === 'open' && may('operator') && (
            <>
              <Button size="compact-md" onClick={() => setDeciding('redrive')}>
                Send again…
              </Button>
              <Button size="compact-md" color="red" variant="light" onClick={() => setDeciding('drop')}>
                Drop…
              </Button>
            </>
          )}
        </Group>
      }
    >
      <Text dir="auto" style={{ overflowWrap: 'anywhere', whiteSpace: 'pre-wrap' }}>
        {visible(letter.detail)}
      </Text>
      {action !== null && (
        <Alert color="gray" title={DONE[action.action]}>
          By <Name>{action.by}</Name>, <Moment at={action.at} />: <Said>{action.why}</Said>
        </Alert>
      )}
      <Facts facts={factsOf(letter)} />
      {deciding === 'redrive' && <RedriveLetters select={select} onClose={close} />}
      {deciding === 'drop' && <DropLetters select={select} onClose={close} />}
    </Panel>
  );
}

const factsOf = ({
  item,
  position,
  codeVersion,
  closedAt,
  closedBy,
  closedWhy,
  correctedBy,
}: Letter): Fact[] => [
  ['Player', item.playerId === '' ? 'not known' : <PlayerName id={item.playerId} />],
  ['Event', <Name>{item.eventId ?? 'without an id'}</Name>],
  ['Type', <Name>{item.eventType ?? 'unreadable'}</Name>],
  ['Tries', item.attempts],
  ['First seen', <Moment at={item.firstSeenAt} />],
  ['Last seen', <Moment at={item.lastSeenAt} />],
  ['Where it stood on the bus', <Name>{position}</Name>],
  ['Version of the code', codeVersion],
  ...(closedAt === null ? [] : [['Closed', <Moment at={closedAt} />] as const]),
  ...(closedBy === null ? [] : [['Closed by', `${closedBy}: ${closedWhy ?? ''}`] as const]),
  ...(correctedBy === null ? [] : [['Corrected by event', <Name>{correctedBy}</Name>] as const]),
];

function Message({ letter: { body, headers } }: { readonly letter: Letter }) {
  const [how, setHow] = useState<'pretty' | 'as it came'>('pretty');
  const names = Object.entries(headers);
  return (
    <Panel
      title="The message"
      about="Text, whatever it holds: what cannot be seen is shown by its code point."
      aside={
        <SegmentedControl
          aria-label="How it is shown"
          size="xs"
          data={['pretty', 'as it came']}
          value={how}
          onChange={setHow}
        />
      }
    >
      <Stack gap="sm">
        <Raw text={how === 'pretty' ? pretty(body) : body} copied={body} label="The message" />
        {names.length > 0 && (
          <Table aria-label="Headers" layout="fixed" withRowBorders={false} verticalSpacing={4}>
            <Table.Tbody>
              {names.map(([name, value]) => (
                <Table.Tr key={name}>
                  <Table.Th w={150} style={{ overflowWrap: 'anywhere' }}>
                    {visible(name)}
                  </Table.Th>
                  <Table.Td style={{ overflowWrap: 'anywhere' }} dir="auto">
                    {visible(value)}
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        )}
      </Stack>
    </Panel>
  );
}
