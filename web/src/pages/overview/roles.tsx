import { Badge, Table, Text } from '@mantine/core';
import { IconAlertTriangle, IconCheck } from '@tabler/icons-react';
import { useState } from 'react';
import { count, decimal, span } from '../../parts/figures.ts';
import { GoesTo } from '../../parts/goes-to.tsx';
import { Panel } from '../../parts/panel.tsx';
import { figures, Sheet } from '../../parts/sheet.tsx';
import { useGame } from '../../shell/game.ts';
import { isLate, type Pipeline, type RoleLine } from './next-steps.ts';

const ABOUT = {
  archive: 'keeps every event',
  progression: 'XP, levels, rewards',
  leaderboard: 'scores and ranks',
  fairness: 'looks for what does not fit',
} as const;

const HEADS = ['Waiting', 'Oldest', 'Applied', 'per second', 'Repeats', 'Conflicts', 'Dead'] as const;
/** What is told to those who are not admin of all games. */
const FEW_HEADS = ['Oldest'] as const;

/** Each role with its lag and its own books. */
export function Roles({ pipeline }: { readonly pipeline: Pipeline }) {
  const before = useAnswerBefore(pipeline);
  const isTold = pipeline.conservation !== null;
  return (
    <Panel
      title="Roles"
      about={
        isTold
          ? 'Each takes every event it has work for, by itself: delivered = applied + repeats + conflicts + dead. Over all games of this installation.'
          : 'Each works for all games of this installation at once. How much that is, admins of all games see.'
      }
    >
      <Sheet
        label="Roles"
        columns={['Role', ...(isTold ? HEADS : FEW_HEADS).map(figures), 'Books']}
        minWidth={isTold ? 760 : 320}
        isStop
      >
        {pipeline.roles.map((role) => (
          <RoleRow key={role.role} role={role} perSecond={rateOf(role, pipeline, before)} isTold={isTold} />
        ))}
      </Sheet>
    </Panel>
  );
}

/** The answer before this one, to tell how fast a role works. */
function useAnswerBefore(pipeline: Pipeline): Pipeline | null {
  const [seen, setSeen] = useState<{ readonly now: Pipeline; readonly before: Pipeline | null }>({
    now: pipeline,
    before: null,
  });
  if (seen.now.at !== pipeline.at) setSeen({ now: pipeline, before: seen.now });
  return seen.before;
}

function rateOf({ role, applied }: RoleLine, { at }: Pipeline, before: Pipeline | null): number | null {
  const earlier = before?.roles.find((one) => one.role === role)?.applied ?? null;
  const seconds = before === null ? 0 : (Date.parse(at) - Date.parse(before.at)) / 1_000;
  if (earlier === null || applied === null || seconds <= 0) return null;
  return Math.max(0, applied - earlier) / seconds;
}

interface RoleRowProps {
  readonly role: RoleLine;
  readonly perSecond: number | null;
  readonly isTold: boolean;
}

function RoleRow({ role: line, perSecond, isTold }: RoleRowProps) {
  const { to } = useGame();
  const { role, waiting, waitingIsExact, oldestSeconds, applied, duplicate, conflict, dead, holds } = line;
  const late = isLate(line);
  return (
    <Table.Tr style={{ fontVariantNumeric: 'tabular-nums' }}>
      <Table.Th scope="row" fw={400}>
        {role}
        <Text size="xs" c="dimmed">
          {ABOUT[role]}
        </Text>
      </Table.Th>
      {isTold && (
        <Table.Td ta="right">
          {waiting === null ? '—' : `${waitingIsExact ? '' : '≈ '}${count(waiting)}`}
        </Table.Td>
      )}
      <Table.Td ta="right">
        {oldestSeconds === null ? '—' : span(oldestSeconds)}
        {late && (
          <>
            {' '}
            <Badge size="xs" variant="light" color="orange">
              late
            </Badge>
          </>
        )}
      </Table.Td>
      {isTold && (
        <>
          <Table.Td ta="right">{count(applied ?? 0)}</Table.Td>
          <Table.Td ta="right">
            {perSecond === null ? '—' : decimal(Math.round(perSecond * 10) / 10)}
          </Table.Td>
          <Table.Td ta="right">{count(duplicate ?? 0)}</Table.Td>
          <Table.Td ta="right">{count(conflict ?? 0)}</Table.Td>
          <Table.Td ta="right">
            {(dead ?? 0) === 0 ? (
              '0'
            ) : (
              <GoesTo href={`${to('dead-letters')}?role=${role}`}>{count(dead ?? 0)}</GoesTo>
            )}
          </Table.Td>
        </>
      )}
      <Table.Td>
        <Badge
          variant="light"
          color={holds ? 'green' : 'red'}
          leftSection={
            holds ? <IconCheck size={12} aria-hidden /> : <IconAlertTriangle size={12} aria-hidden />
          }
        >
          {holds ? 'balanced' : 'broken'}
        </Badge>
      </Table.Td>
    </Table.Tr>
  );
}
