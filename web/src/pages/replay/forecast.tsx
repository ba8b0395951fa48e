import { Alert, Box, Button, List, NumberInput, Table, Text } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { api, dataOf, OWN_PAGE } from '../../api/client.ts';
import type { Schema } from '../../api/schema.ts';
import { Trouble } from '../../parts/data-state.tsx';
import { Facts } from '../../parts/facts.tsx';
import { count } from '../../parts/figures.ts';
import { Moment } from '../../parts/moment.tsx';
import { Panel } from '../../parts/panel.tsx';
import { Name } from '../../parts/player-name.tsx';
import { figures, Sheet } from '../../parts/sheet.tsx';
import { useGame } from '../../shell/game.ts';
import { DAYS_MAX } from './start-replay.tsx';

/** What would come of a recording, event for event as the gateway would judge it now; posts nothing. */
export function Forecast({ jobId }: { readonly jobId: string }) {
  const { gameId } = useGame();
  const [rebaseDays, setDays] = useState<number | string>('');
  const dryRun = useMutation({
    mutationFn: () =>
      dataOf(
        api.POST('/admin/v1/games/{gameId}/replays/{jobId}/dry-run', {
          params: {
            path: { gameId, jobId },
            header: OWN_PAGE,
            query: rebaseDays === '' ? {} : { rebaseDays: Number(rebaseDays) },
          },
        }),
      ),
  });
  const { data } = dryRun;
  return (
    <Panel
      title="Dry run"
      about="Judges every event as the gateway would now. Nothing is posted."
      aside={
        <Button
          variant="default"
          size="compact-md"
          loading={dryRun.isPending}
          onClick={() => dryRun.mutate()}
        >
          {data === undefined ? 'What would come of it?' : 'Again'}
        </Button>
      }
    >
      <NumberInput
        label="With its times moved forward by days"
        description="Empty: by those of its start, or by none."
        maw={420}
        min={0}
        max={DAYS_MAX}
        allowDecimal={false}
        value={rebaseDays}
        onChange={setDays}
      />
      {dryRun.error !== null && <Trouble error={dryRun.error} />}
      {data !== undefined && <Told forecast={data} />}
    </Panel>
  );
}

function Told({ forecast }: { readonly forecast: Schema<'ReplayForecast'> }) {
  const { firstAt, lastAt, byType, warnings, rejected } = forecast;
  return (
    <>
      {warnings.length > 0 && (
        <Alert color="yellow" title="Mind">
          <List size="sm">
            {warnings.map((warning) => (
              <List.Item key={warning}>{warning}</List.Item>
            ))}
          </List>
        </Alert>
      )}
      <Text role="status" fw={600}>
        {count(forecast.accepted)} of {count(forecast.events)} events would be counted.
      </Text>
      <Facts
        facts={[
          ['Known already', count(forecast.duplicates)],
          ['Refused', count(rejected.reduce((sum, { events }) => sum + events, 0))],
          ['Lines that are no event', count(forecast.malformed)],
          ['Players', count(forecast.players)],
          ['Earliest', firstAt === null ? '—' : <Moment at={firstAt} />],
          ['Latest', lastAt === null ? '—' : <Moment at={lastAt} />],
        ]}
      />
      <Refusals rejected={rejected} />
      {byType.length > 0 && (
        <Counts label="Events by type" of="Type" counts={byType.map(({ type, events }) => [type, events])} />
      )}
    </>
  );
}

/** Why events were refused, or would be. */
export function Refusals({ rejected }: { readonly rejected: readonly Schema<'RejectedCount'>[] }) {
  if (rejected.length === 0) return null;
  return (
    <Counts
      label="Refusals by reason"
      of="Refused for"
      counts={rejected.map(({ code, events }) => [code, events])}
    />
  );
}

function Counts({
  label,
  of,
  counts,
}: {
  readonly label: string;
  readonly of: string;
  readonly counts: readonly (readonly [name: string, events: number])[];
}) {
  return (
    <Box maw={420}>
      <Sheet label={label} columns={[of, figures('Events')]} minWidth={240} height={300}>
        {counts.map(([name, events]) => (
          <Table.Tr key={name}>
            <Table.Td>
              <Name>{name}</Name>
            </Table.Td>
            <Table.Td ta="right">{count(events)}</Table.Td>
          </Table.Tr>
        ))}
      </Sheet>
    </Box>
  );
}
