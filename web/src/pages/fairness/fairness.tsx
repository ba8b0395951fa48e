import { Page } from '../../parts/page.tsx';
import { useGame } from '../../shell/game.ts';
import { useThing } from '../../shell/thing.ts';
import { Findings } from './findings.tsx';
import { Queue } from './queue.tsx';

/** Who looks wrong. Who may judge sees the queue of cases; others see what was found. */
export function Fairness() {
  const { may } = useGame();
  const chosen = useThing();
  const caseId = chosen === undefined ? undefined : Number(chosen);
  if (!may('analyst'))
    return (
      <Page
        title="Fairness"
        about="Events that do not fit what their player did before. Judging them takes the role of analyst."
      >
        <Findings />
      </Page>
    );
  return <Queue caseId={caseId} />;
}
