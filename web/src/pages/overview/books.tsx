import { Badge, Group, Text } from '@mantine/core';
import { IconAlertTriangle, IconScale } from '@tabler/icons-react';
import { Fragment } from 'react';
import { count } from '../../parts/figures.ts';
import { Panel } from '../../parts/panel.tsx';
import type { Pipeline } from './next-steps.ts';

/** The conservation line: what was acknowledged is somewhere, all of it. */
export function Books({ pipeline: { conservation, roles } }: { readonly pipeline: Pipeline }) {
  // It is of all games: whoever is not admin of all of them is told nothing of it.
  if (conservation === null) return null;
  const archive = roles.find(({ role }) => role === 'archive');
  const { holds, archived } = conservation;
  const settled = archive?.delivered ?? archived;
  const waiting = archive?.waiting ?? 0;
  const acknowledged = conservation.acknowledged ?? settled + waiting;
  const broken = roles.filter((role) => !role.holds).map(({ role }) => role);
  const terms = [
    ['archived', archived],
    ['sent again, and counted once', (archive?.duplicate ?? 0) + (archive?.conflict ?? 0)],
    ['dead letters of the archive', archive?.dead ?? 0],
    // What the bus took while the rest was being counted is on its way.
    ['on their way', Math.max(0, acknowledged - settled)],
  ] as const;
  return (
    <Panel
      title="The conservation line"
      about="Whatever was answered 202 is somewhere, once: over all games of this installation."
      aside={
        <Badge
          color={holds ? 'green' : 'red'}
          variant="light"
          leftSection={
            holds ? <IconScale size={12} aria-hidden /> : <IconAlertTriangle size={12} aria-hidden />
          }
        >
          {holds ? 'balanced' : 'broken'}
        </Badge>
      }
    >
      <Group gap="md" align="flex-start" role="group" aria-label="Conservation line">
        <Term name="acknowledged" value={acknowledged} />
        {terms.map(([name, value], index) => (
          <Fragment key={name}>
            <Text size="xl" fw={700} c="dimmed" lh={1.2}>
              {index === 0 ? '=' : '+'}
            </Text>
            <Term name={name} value={value} />
          </Fragment>
        ))}
      </Group>
      {broken.length > 0 && (
        <Text size="sm">
          What was delivered is not what was settled in: {broken.join(', ')}. See the roles below.
        </Text>
      )}
    </Panel>
  );
}

const Term = ({ name, value }: { readonly name: string; readonly value: number }) => (
  <div>
    <Text size="xl" fw={700} lh={1.2} style={{ fontVariantNumeric: 'tabular-nums' }}>
      {count(value)}
    </Text>
    <Text size="xs" c="dimmed" maw={130}>
      {name}
    </Text>
  </div>
);
