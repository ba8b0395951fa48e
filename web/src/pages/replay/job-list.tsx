import { Badge, Table } from '@mantine/core';
import { api, dataOf } from '../../api/client.ts';
import type { Schema } from '../../api/schema.ts';
import { count } from '../../parts/figures.ts';
import { GoesTo } from '../../parts/goes-to.tsx';
import { Listing } from '../../parts/listing.tsx';
import { Moment } from '../../parts/moment.tsx';
import { Panel } from '../../parts/panel.tsx';
import { Name } from '../../parts/player-name.tsx';
import { usePages } from '../../parts/use-pages.ts';
import { useGame } from '../../shell/game.ts';

export type Job = Schema<'Replay'>;

export const JOB_COLORS: Record<Job['state'], string> = {
  uploaded: 'gray',
  running: 'yellow',
  done: 'green',
  cancelled: 'gray',
  failed: 'red',
};

export const refusedOf = ({ rejected }: Pick<Job, 'rejected'>): number =>
  rejected.reduce((sum, { events }) => sum + events, 0);

/** The recordings that are kept, and what came of each. */
export function JobList() {
  const { gameId, to } = useGame();
  const pages = usePages<Job>(
    ['replays', gameId],
    (cursor) =>
      dataOf(
        api.GET('/admin/v1/games/{gameId}/replays', {
          params: { path: { gameId }, query: cursor === undefined ? {} : { cursor } },
        }),
      ),
    { refetchIntervalMs: 5_000 },
  );
  return (
    <Panel title="Recordings">
      <Listing
        pages={pages}
        empty="No recording yet. Choose a file above: it will stand here, and a dry run tells what would come of it before anything is posted."
        label="Recordings"
        columns={['Name', 'State', 'Lines', 'Counted', 'Known before', 'Refused', 'Uploaded', 'By']}
        minWidth={720}
        verticalSpacing="sm"
        row={(job) => (
          <Table.Tr key={job.jobId}>
            <Table.Td>
              <GoesTo href={to('replay', job.jobId)}>
                <Name>{job.name}</Name>
              </GoesTo>
            </Table.Td>
            <Table.Td>
              <Badge variant="light" color={JOB_COLORS[job.state]}>
                {job.state}
              </Badge>
            </Table.Td>
            <Table.Td>{count(job.lines)}</Table.Td>
            <Table.Td>{count(job.accepted)}</Table.Td>
            <Table.Td>{count(job.duplicates)}</Table.Td>
            <Table.Td>{count(refusedOf(job))}</Table.Td>
            <Table.Td>
              <Moment at={job.uploadedAt} />
            </Table.Td>
            <Table.Td>
              <Name>{job.uploadedBy}</Name>
            </Table.Td>
          </Table.Tr>
        )}
      />
    </Panel>
  );
}
