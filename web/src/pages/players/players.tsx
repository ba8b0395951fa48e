import { Page } from '../../parts/page.tsx';

export function Players() {
  return <Page title="Players">…</Page>;
}
