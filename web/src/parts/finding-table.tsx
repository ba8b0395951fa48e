import { Table, Text } from '@mantine/core';
import type { Schema } from '../api/schema.ts';
import { useGame } from '../shell/game.ts';
import { decimal } from './figures.ts';
import { GoesTo } from './goes-to.tsx';
import { Moment } from './moment.tsx';
import { Name, PlayerName } from './player-name.tsx';
import { figures, Sheet } from './sheet.tsx';

type Finding = Schema<'Finding'>;

/** Findings, with their players where they are of several; who may judge goes from the metric to the case. */
export function FindingTable({
  findings,
  withPlayers = false,
  height,
}: {
  readonly findings: readonly Finding[];
  readonly withPlayers?: boolean;
  /** Scrolls within so many pixels. */
  readonly height?: number;
}) {
  return (
    <Sheet
      label="Findings"
      columns={[...(withPlayers ? ['Player'] : []), 'Metric', figures('Value'), figures('z'), 'When']}
      minWidth={withPlayers ? 520 : 300}
      height={height}
    >
      {findings.map((finding) => (
        <Table.Tr key={finding.findingId}>
          {withPlayers && (
            <Table.Td>
              <PlayerName id={finding.playerId} />
            </Table.Td>
          )}
          <Table.Td>
            <Metric finding={finding} />
          </Table.Td>
          <Table.Td ta="right">{decimal(finding.value)}</Table.Td>
          <Table.Td ta="right">{decimal(finding.z)}</Table.Td>
          <Table.Td>
            <Moment at={finding.at} />
          </Table.Td>
        </Table.Tr>
      ))}
    </Sheet>
  );
}

function Metric({ finding: { metric, caseId, partition } }: { readonly finding: Finding }) {
  const { to, may } = useGame();
  return (
    <>
      {caseId !== null && may('analyst') ? (
        <GoesTo href={to('fairness', String(caseId))}>{metric}</GoesTo>
      ) : (
        metric
      )}
      {partition !== null && (
        <Text size="xs" c="dimmed">
          <Name>{partition}</Name>
        </Text>
      )}
    </>
  );
}
