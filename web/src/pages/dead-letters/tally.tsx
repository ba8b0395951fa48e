import { Badge, Table, UnstyledButton } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { api, dataOf } from '../../api/client.ts';
import type { Schema } from '../../api/schema.ts';
import { DataState } from '../../parts/data-state.tsx';
import { count } from '../../parts/figures.ts';
import { Panel } from '../../parts/panel.tsx';
import { Sheet } from '../../parts/sheet.tsx';
import { useGame } from '../../shell/game.ts';
import { STATES, type RoleName } from './letter-filter.ts';

type TallyItem = Schema<'LetterTally'>['items'][number];
interface TallyRow {
  readonly role: RoleName;
  readonly reason: string;
  readonly byState: Readonly<Partial<Record<TallyItem['state'], number>>>;
}

/** How many letters there are, by role and reason; a figure filters the list by what it counts. */
export function Tally({ onPick }: { readonly onPick: (picked: Omit<TallyItem, 'letters'>) => void }) {
  const { gameId } = useGame();
  const tally = useQuery({
    queryKey: ['letters', gameId, 'tally'],
    queryFn: () =>
      dataOf(api.GET('/admin/v1/games/{gameId}/dead-letters/tally', { params: { path: { gameId } } })),
    refetchInterval: 10_000,
  });
  return (
    <Panel title="How many">
      <DataState
        query={tally}
        rows={2}
        isEmpty={({ items }) => items.length === 0}
        isEmptyGood
        empty="None: every event of this game took effect. One that a role cannot apply, however often it tries, will be counted here by its reason."
      >
        {({ items }) => (
          <Sheet label="Letters by role and reason" columns={['Role', 'Reason', ...STATES]} minWidth={620}>
            {rowsOf(items).map(({ role, reason, byState }) => (
              <Table.Tr key={`${role} ${reason}`}>
                <Table.Td>{role}</Table.Td>
                <Table.Td>{reason}</Table.Td>
                {STATES.map((state) => (
                  <Table.Td key={state}>
                    <Figure
                      letters={byState[state] ?? 0}
                      label={`${role}, ${reason}, ${state}`}
                      isBad={state === 'open'}
                      onPick={() => onPick({ role, reason, state })}
                    />
                  </Table.Td>
                ))}
              </Table.Tr>
            ))}
          </Sheet>
        )}
      </DataState>
    </Panel>
  );
}

function Figure(props: {
  readonly letters: number;
  readonly label: string;
  readonly isBad: boolean;
  readonly onPick: () => void;
}) {
  const { letters, label, isBad, onPick } = props;
  if (letters === 0) return '0';
  return (
    <UnstyledButton onClick={onPick} aria-label={`${count(letters)}: show ${label}`}>
      <Badge variant="light" color={isBad ? 'red' : 'gray'} style={{ cursor: 'pointer' }}>
        {count(letters)}
      </Badge>
    </UnstyledButton>
  );
}

function rowsOf(items: readonly TallyItem[]): TallyRow[] {
  const rows = new Map<string, TallyRow>();
  for (const { role, reason, state, letters } of items) {
    const key = `${role} ${reason}`;
    rows.set(key, { role, reason, byState: { ...rows.get(key)?.byState, [state]: letters } });
  }
  return [...rows.values()];
}
