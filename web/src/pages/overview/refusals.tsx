import { Code, Table } from '@mantine/core';
import { Nothing } from '../../parts/data-state.tsx';
import { count } from '../../parts/figures.ts';
import { GoesTo } from '../../parts/goes-to.tsx';
import { Panel } from '../../parts/panel.tsx';
import { Name } from '../../parts/player-name.tsx';
import { figures, Sheet } from '../../parts/sheet.tsx';
import { useGame } from '../../shell/game.ts';
import type { Pipeline } from './next-steps.ts';

/** Why events of the last hour were refused, and which build of the client sent them. */
export function Refusals({ refusals }: { readonly refusals: Pipeline['refusals'] }) {
  const { to } = useGame();
  return (
    <Panel
      title="Refused in the last hour"
      about="By reason and client build."
      aside={<GoesTo href={to('debugger')}>Event debugger</GoesTo>}
    >
      {refusals.byReason.length === 0 && <Nothing>No event was refused. Good.</Nothing>}
      {refusals.byReason.length > 0 && (
        <Sheet
          label="Refusals by reason and build"
          columns={['Reason', 'Build', figures('Events')]}
          minWidth={300}
        >
          {refusals.byReason.map(({ code, build, events }) => (
            <Table.Tr key={`${code} ${build ?? ''}`}>
              <Table.Td>
                <Code>{code}</Code>
              </Table.Td>
              <Table.Td>{build === null ? 'not told' : <Name>{build}</Name>}</Table.Td>
              <Table.Td ta="right">{count(events)}</Table.Td>
            </Table.Tr>
          ))}
        </Sheet>
      )}
    </Panel>
  );
}
