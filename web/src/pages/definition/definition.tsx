import { Page } from '../../parts/page.tsx';

export function Definition() {
  return <Page title="Definition">…</Page>;
}
