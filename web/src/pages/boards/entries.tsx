import { Box, Group, Table, Text, VisuallyHidden } from '@mantine/core';
import { IconArrowDown, IconArrowUp, IconSparkles } from '@tabler/icons-react';
import { useRef } from 'react';
import type { Schema } from '../../api/schema.ts';
import { count } from '../../parts/figures.ts';
import { Moment } from '../../parts/moment.tsx';
import { Name, PlayerName } from '../../parts/player-name.tsx';
import { Sheet } from '../../parts/sheet.tsx';
import { visibleName } from '../../parts/visible.ts';
import { useMovements, useSlide, type Movement } from './movement.ts';

export interface EntriesProps {
  /** Names the board that is looked at: another one does not move into this one's rows. */
  readonly board: string;
  readonly label: string;
  readonly entries: readonly Schema<'BoardEntry'>[];
  /** What is ranked; null: players. */
  readonly subjectField: string | null;
  readonly scoreName: string;
  /** The one who was looked for. */
  readonly marked: string | undefined;
}

/** The rows of a board. Who moved since the last answer shows it for some seconds. */
export function Entries({ board, label, entries, subjectField, scoreName, marked }: EntriesProps) {
  const body = useRef<HTMLTableSectionElement>(null);
  const moved = useMovements(board, entries);
  useSlide(body, entries);
  return (
    <>
      <VisuallyHidden role="status">{spoken(moved)}</VisuallyHidden>
      <Sheet
        label={label}
        columns={[
          { name: 'Rank', w: 96 },
          subjectField ?? 'Player',
          { name: 'Score', ta: 'right', children: <Score name={scoreName} /> },
          { name: 'Reached', visibleFrom: 'sm' },
        ]}
        minWidth={320}
        highlightOnHover
        body={body}
      >
        {entries.map((entry) => (
          <Table.Tr
            key={entry.subject}
            data-subject={entry.subject}
            {...(entry.subject === marked
              ? { 'aria-current': 'true', bg: 'var(--mantine-primary-color-light)' }
              : {})}
          >
            <Table.Td>
              <Rank rank={entry.rank} movement={moved.get(entry.subject)} />
            </Table.Td>
            <Table.Td fw={entry.rank <= PODIUM ? 600 : undefined}>
              {subjectField === null ? <PlayerName id={entry.subject} /> : <Name>{entry.subject}</Name>}
            </Table.Td>
            <Table.Td
              ta="right"
              style={FIGURES}
              fw={moved.get(entry.subject)?.scored === true ? 700 : undefined}
            >
              {count(entry.score)}
            </Table.Td>
            <Table.Td visibleFrom="sm">
              <Moment at={entry.reachedAt} />
            </Table.Td>
          </Table.Tr>
        ))}
      </Sheet>
    </>
  );
}

const Score = ({ name }: { readonly name: string }) => (
  <>
    Score
    <Text span size="xs" c="dimmed" fw={400} display="block">
      {name}
    </Text>
  </>
);

const PODIUM = 3;
const FIGURES = { fontVariantNumeric: 'tabular-nums' } as const;

function Rank({ rank, movement }: { readonly rank: number; readonly movement: Movement | undefined }) {
  return (
    <Group gap={6} wrap="nowrap">
      <Text span inherit fw={rank <= PODIUM ? 700 : undefined} style={FIGURES}>
        {count(rank)}
      </Text>
      {movement !== undefined && <Moved {...movement} />}
    </Group>
  );
}

function Moved({ places, isNew }: Movement) {
  if (isNew)
    return (
      <Box c="blue" component="span" lh={1}>
        <IconSparkles size={14} aria-hidden /> <VisuallyHidden>new</VisuallyHidden>
      </Box>
    );
  if (places === 0) return null;
  const [Icon, color, word] =
    places > 0
      ? ([IconArrowUp, 'var(--mantine-color-green-light-color)', 'up'] as const)
      : ([IconArrowDown, 'var(--mantine-color-red-light-color)', 'down'] as const);
  return (
    <Text span size="xs" c={color} fw={600} style={{ whiteSpace: 'nowrap' }}>
      <Icon size={12} aria-hidden />
      <VisuallyHidden>{word}</VisuallyHidden> {Math.abs(places)}
    </Text>
  );
}

const SPOKEN = 3;

/** The first few changes in words: a screen reader is told who climbed, not every row. */
const spoken = (moved: ReadonlyMap<string, Movement>): string =>
  [...moved]
    .filter(([, { places, isNew }]) => places > 0 || isNew)
    .slice(0, SPOKEN)
    .map(([subject, { places, isNew }]) => `${visibleName(subject)} ${isNew ? 'is new' : `up ${places}`}.`)
    .join(' ');
