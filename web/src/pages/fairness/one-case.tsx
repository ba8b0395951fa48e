import {
  Alert,
  Badge,
  Group,
  Paper,
  Stack,
  Table,
  Text,
  Title,
  UnstyledButton,
  VisuallyHidden,
} from '@mantine/core';
import { IconEyeOff } from '@tabler/icons-react';
import { useState } from 'react';
import { CaseState } from '../../parts/case-state.tsx';
import { DataState } from '../../parts/data-state.tsx';
import { count, decimal } from '../../parts/figures.ts';
import { GoesTo } from '../../parts/goes-to.tsx';
import { Moment } from '../../parts/moment.tsx';
import { Panel } from '../../parts/panel.tsx';
import { Name, PlayerName, Said } from '../../parts/player-name.tsx';
import { figures, Sheet } from '../../parts/sheet.tsx';
import { visibleName } from '../../parts/visible.ts';
import { useGame } from '../../shell/game.ts';
import { Assignee } from './assignee.tsx';
import { EvidenceChart } from './evidence-chart.tsx';
import { Story } from './story.tsx';
import { useCase, type Case, type CaseDetail, type Finding } from './case-state.ts';
import { Verdict } from './verdict.tsx';

/** A case: who, what speaks against them, and the decision. */
export function OneCase({ caseId }: { readonly caseId: number }) {
  const query = useCase(caseId);
  return (
    <DataState query={query} rows={10} missing="There is no such case.">
      {(detail) => <Detail detail={detail} />}
    </DataState>
  );
}

const farthest = (findings: readonly Finding[]): Finding | undefined =>
  findings.reduce<Finding | undefined>(
    (most, one) => (most === undefined || Math.abs(one.z) > Math.abs(most.z) ? one : most),
    undefined,
  );

function Detail({ detail: { case: one, findings, events } }: { readonly detail: CaseDetail }) {
  const [chosen, setChosen] = useState<number | null>(null);
  const shown = findings.find(({ findingId }) => findingId === chosen) ?? farthest(findings);
  return (
    <Stack>
      <Paper withBorder p="md">
        <Stack gap="sm">
          <Header one={one} />
          <Verdict one={one} />
        </Stack>
      </Paper>
      {shown !== undefined && (
        <Panel
          title="Evidence"
          about={
            <>
              {decimal(shown.value)}: {decimal(Math.abs(shown.z))} deviations{' '}
              {shown.z < 0 ? 'below' : 'above'} what the player did before
              {shown.partition !== null && (
                <>
                  {' '}
                  (<Name>{shown.partition}</Name>)
                </>
              )}
              , <Moment at={shown.at} />
            </>
          }
        >
          <EvidenceChart findingId={shown.findingId} />
        </Panel>
      )}
      <Panel title="Findings" about="Choose one to see it drawn.">
        <FindingTable findings={findings} shown={shown?.findingId} onChoose={setChosen} />
      </Panel>
      <Story caseId={one.caseId} events={events} />
    </Stack>
  );
}

function Header({ one }: { readonly one: Case }) {
  const { to } = useGame();
  return (
    <>
      <VisuallyHidden role="status">
        Case of {visibleName(one.playerId)}, {one.metric}, {one.state}
      </VisuallyHidden>
      <Group justify="space-between" align="flex-start">
        <div style={{ minWidth: 0 }}>
          <Title order={2} size="h3">
            <PlayerName id={one.playerId} />
          </Title>
          <Text size="sm" c="dimmed" component="div">
            {one.metric} · {count(one.findings)} {one.findings === 1 ? 'finding' : 'findings'} · farthest at z{' '}
            {decimal(one.maxAbsZ)} · opened <Moment at={one.openedAt} />
          </Text>
        </div>
        <Group gap="xs">
          <CaseState state={one.state} />
          {one.playerHidden && (
            <Badge variant="light" color="gray" leftSection={<IconEyeOff size={12} aria-hidden />}>
              player hidden
            </Badge>
          )}
        </Group>
      </Group>
      {one.decidedBy !== null && one.decidedAt !== null && one.state !== 'open' && (
        <Alert color="gray" p="xs">
          <Text size="sm" component="div">
            <Name>{one.decidedBy}</Name> decided <b>{one.state}</b> <Moment at={one.decidedAt} />
            {one.decisionReason !== null && (
              <>
                : <Said>{one.decisionReason}</Said>
              </>
            )}
            {one.hid && ' The player was hidden by it.'}
          </Text>
        </Alert>
      )}
      <Group gap="md">
        <Assignee one={one} />
        <GoesTo href={to('players', one.playerId)}>Progress, boards, receipts</GoesTo>
        <GoesTo href={`${to('debugger')}?${new URLSearchParams({ player: one.playerId }).toString()}`}>
          Last events
        </GoesTo>
      </Group>
    </>
  );
}

const SHOWN = 8;
const ROW_PX = 42;

function FindingTable({
  findings,
  shown,
  onChoose,
}: {
  readonly findings: readonly Finding[];
  readonly shown: number | undefined;
  readonly onChoose: (findingId: number) => void;
}) {
  return (
    <Sheet
      label="Findings of this case"
      columns={['When', 'Part', figures('Value'), figures('z'), figures('Chart')]}
      minWidth={440}
      height={SHOWN * ROW_PX}
      highlightOnHover
    >
      {findings.map((finding) => (
        <Table.Tr
          key={finding.findingId}
          {...(finding.findingId === shown ? { bg: 'var(--mantine-primary-color-light)' } : {})}
        >
          <Table.Td>
            <Moment at={finding.at} />
          </Table.Td>
          <Table.Td>{finding.partition === null ? '' : <Name>{finding.partition}</Name>}</Table.Td>
          <Table.Td ta="right">{decimal(finding.value)}</Table.Td>
          <Table.Td ta="right">{decimal(finding.z)}</Table.Td>
          <Table.Td ta="right">
            {finding.findingId === shown ? (
              <Text size="sm">drawn</Text>
            ) : (
              <UnstyledButton
                fz="sm"
                c="var(--mantine-color-anchor)"
                aria-label={`Draw the finding at sample ${finding.sampleNo}`}
                onClick={() => onChoose(finding.findingId)}
              >
                draw
              </UnstyledButton>
            )}
          </Table.Td>
        </Table.Tr>
      ))}
    </Sheet>
  );
}
