import { GoesTo } from '../../parts/goes-to.tsx';
import { Page } from '../../parts/page.tsx';
import { useQueryState } from '../../parts/use-query-state.ts';
import { useGame } from '../../shell/game.ts';
import { useThing } from '../../shell/thing.ts';
import { filterOf } from './letter-filter.ts';
import { LetterList } from './letter-list.tsx';
import { OneLetter } from './one-letter.tsx';
import { Tally } from './tally.tsx';

/** Events that could not take effect: why, and what is decided about them. */
export function DeadLetters() {
  const { to } = useGame();
  const letter = useThing();
  const [address, setAddress] = useQueryState(['role', 'state', 'reason', 'player']);
  if (letter !== undefined) {
    return (
      <Page title={`Letter ${letter}`} actions={<GoesTo href={to('dead-letters')}>All dead letters</GoesTo>}>
        <OneLetter key={letter} letterId={Number(letter)} />
      </Page>
    );
  }
  return (
    <Page
      title="Dead letters"
      about="Events that a role could not apply. Mend the cause, then send them again: each counts once, whatever took effect before."
    >
      <Tally onPick={({ role, reason, state }) => setAddress({ role, reason, state })} />
      <LetterList filter={filterOf(address)} onFilter={setAddress} />
    </Page>
  );
}
