import { Page } from '../../parts/page.tsx';

export function Fairness() {
  return <Page title="Fairness">…</Page>;
}
