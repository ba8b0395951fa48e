import { Page } from '../../parts/page.tsx';

export function Boards() {
  return <Page title="Boards">…</Page>;
}
