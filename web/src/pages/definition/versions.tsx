import { Badge, Button, Code, Table } from '@mantine/core';
import type { Schema } from '../../api/schema.ts';
import { Moment } from '../../parts/moment.tsx';
import { Name } from '../../parts/player-name.tsx';
import { Sheet } from '../../parts/sheet.tsx';

type Item = Schema<'DefinitionItem'>;

const STATES: Record<Item['state'], { readonly color: string; readonly label: string }> = {
  in_force: { color: 'green', label: 'in force' },
  upcoming: { color: 'blue', label: 'to come' },
  past: { color: 'gray', label: 'past' },
};
const SHORT_HASH = 12;

/** The versions, newest first; one of them is looked at. */
export function Versions({
  items,
  chosen,
  onChoose,
}: {
  readonly items: readonly Item[];
  readonly chosen: number;
  readonly onChoose: (version: number) => void;
}) {
  return (
    <Sheet
      label="Versions"
      columns={['Version', 'State', 'Holds from', 'Applied', 'By', 'SHA-256']}
      minWidth={640}
      height={280}
      verticalSpacing="xs"
    >
      {items.map((item) => (
        <Table.Tr key={item.version}>
          <Table.Td>
            <Button
              size="compact-sm"
              variant={item.version === chosen ? 'filled' : 'default'}
              aria-pressed={item.version === chosen}
              aria-label={`Look at version ${item.version}`}
              onClick={() => onChoose(item.version)}
            >
              {item.version}
            </Button>
          </Table.Td>
          <Table.Td>
            <Badge variant="light" color={STATES[item.state].color}>
              {STATES[item.state].label}
            </Badge>
          </Table.Td>
          <Table.Td>
            {Date.parse(item.effectiveFrom) === 0 ? 'ever' : <Moment at={item.effectiveFrom} />}
          </Table.Td>
          <Table.Td>
            <Moment at={item.appliedAt} />
          </Table.Td>
          <Table.Td>
            <Name>{item.appliedBy}</Name>
          </Table.Td>
          <Table.Td>
            <Code title={item.sha256}>{item.sha256.slice(0, SHORT_HASH)}</Code>
          </Table.Td>
        </Table.Tr>
      ))}
    </Sheet>
  );
}
