import { Page } from '../../parts/page.tsx';

export function Debugger() {
  return <Page title="Debugger">…</Page>;
}
