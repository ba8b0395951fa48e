import { Badge, Group, Paper, SimpleGrid, Text } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import type { ReactNode } from 'react';
import { count, decimal } from '../../parts/figures.ts';
import { GoesTo } from '../../parts/goes-to.tsx';
import { Moment } from '../../parts/moment.tsx';
import { useGame } from '../../shell/game.ts';
import type { Pipeline } from './next-steps.ts';

const COUNTED_TO = 1_000;
const orMore = (value: number): string => (value >= COUNTED_TO ? `${count(value)}+` : count(value));

/** The figures of the game, each with the way to where one acts on it. */
export function Figures({ pipeline }: { readonly pipeline: Pipeline }) {
  const { to } = useGame();
  const { rate, refusals, deadLetters, openCases, findings24h, view, drift, definitionVersion } = pipeline;
  const views = VIEWS[view.state];
  return (
    <SimpleGrid cols={{ base: 2, lg: 4 }} spacing="md">
      <Figure
        name="Events per second, mean of the last minute"
        value={decimal(rate.perSecond)}
        href={to('debugger')}
        link="Event debugger"
      >
        {count(rate.lastHour)} in the last hour
        {rate.lastEventAt !== null && (
          <>
            , the last <Moment at={rate.lastEventAt} />
          </>
        )}
      </Figure>
      <Figure
        name="Refused in the last hour"
        value={count(refusals.lastHour)}
        href={to('debugger')}
        link="Why"
      >
        By reason and build below
      </Figure>
      <Figure
        name="Open dead letters"
        value={count(deadLetters.open)}
        isBad={deadLetters.open > 0}
        href={to('dead-letters')}
        link="Dead letters"
      >
        {deadLetters.redriven === 0
          ? 'None is on its way again'
          : `${count(deadLetters.redriven)} on their way again`}
      </Figure>
      <Figure name="Open cases" value={orMore(openCases)} href={to('fairness')} link="Judge">
        {orMore(findings24h)} findings in 24 hours
      </Figure>
      <Figure
        name="Boards"
        value={views.value}
        isBad={view.state === 'away'}
        href={to('boards')}
        link="Leaderboards"
      >
        {views.about}; {count(view.openCycles)} open cycles
        {view.staleCycles > 0 && `, ${count(view.staleCycles)} not whole`}
      </Figure>
      <Figure
        name="Drift"
        value={drift.missing === null ? '—' : drift.missing === 0 ? 'none' : count(drift.missing)}
        isBad={(drift.missing ?? 0) > 0}
      >
        {drift.comparedThrough === null ? (
          'What roles lack of the archive: fairtally reconcile compares (with SQS the workers do)'
        ) : (
          <>
            Roles compared with the archive through <Moment at={drift.comparedThrough} />
          </>
        )}
      </Figure>
      <Figure
        name="Definition"
        value={definitionVersion === null ? '—' : `version ${count(definitionVersion)}`}
        href={to('definition')}
        link="Definition"
      >
        {definitionVersion === null ? 'None is in force' : 'In force'}
      </Figure>
      <Figure name="Bus" value={pipeline.bus}>
        {pipeline.conservation === null
          ? 'It carries the events of all games'
          : `${count(pipeline.conservation.archived)} events of all games archived`}
      </Figure>
    </SimpleGrid>
  );
}

const VIEWS = {
  none: { value: 'exact', about: 'Read from the database' },
  whole: { value: 'whole', about: 'Read from Redis' },
  building: { value: 'building', about: 'Partly read from the database' },
  away: { value: 'Redis away', about: 'Read from the database' },
} as const;

interface FigureProps {
  readonly name: string;
  readonly value: string;
  readonly isBad?: boolean;
  readonly href?: string;
  readonly link?: string;
  readonly children: ReactNode;
}

function Figure({ name, value, isBad = false, href, link, children }: FigureProps) {
  return (
    <Paper withBorder p={{ base: 'xs', xs: 'md' }} miw={0}>
      <Text size="sm" c="dimmed">
        {name}
      </Text>
      <Group gap="xs" align="center">
        <Text size="xl" fw={700}>
          {value}
        </Text>
        {isBad && (
          <Badge
            size="sm"
            variant="light"
            color="red"
            leftSection={<IconAlertTriangle size={12} aria-hidden />}
          >
            needs you
          </Badge>
        )}
      </Group>
      <Text size="xs" c="dimmed" component="div">
        {children}
      </Text>
      {href !== undefined && (
        <GoesTo href={href} size="xs">
          {link}
        </GoesTo>
      )}
    </Paper>
  );
}
