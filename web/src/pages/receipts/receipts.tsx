import { Page } from '../../parts/page.tsx';

export function Receipts() {
  return <Page title="Receipts">…</Page>;
}
