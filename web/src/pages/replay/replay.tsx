import { Page } from '../../parts/page.tsx';

export function Replay() {
  return <Page title="Replay">…</Page>;
}
