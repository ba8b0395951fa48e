import { GoesTo } from '../../parts/goes-to.tsx';
import { Page } from '../../parts/page.tsx';
import { useGame } from '../../shell/game.ts';
import { useThing } from '../../shell/thing.ts';
import { JobList } from './job-list.tsx';
import { OneJob } from './one-job.tsx';
import { Upload } from './upload.tsx';

/** Recordings of events, fed through the same door again. */
export function Replay() {
  const { to } = useGame();
  const job = useThing();
  if (job !== undefined) {
    return (
      <Page title="Recording" actions={<GoesTo href={to('replay')}>All recordings</GoesTo>}>
        <OneJob key={job} jobId={job} />
      </Page>
    );
  }
  return (
    <Page
      title="Replay"
      about="Feeds recorded events through the gateway as this game, marked as a replay. What was counted once is not counted again."
    >
      <Upload />
      <JobList />
    </Page>
  );
}
