import type { NotificationData } from '@mantine/notifications';

const watchers = new Set<() => void>();
let isWanted = false;

/** Whether anything was ever told: what shows it is fetched then, not with the first page. */
export const notices = {
  isWanted: (): boolean => isWanted,
  watch(tell: () => void): () => void {
    watchers.add(tell);
    return () => watchers.delete(tell);
  },
};

const CLOSE = { 'aria-label': 'Close the notice' };

/** Tells what came of something, in the corner of the page. */
export function notify(notice: NotificationData): void {
  isWanted = true;
  for (const tell of watchers) tell();
  void import('@mantine/notifications').then(({ notifications }) =>
    notifications.show({ closeButtonProps: CLOSE, ...notice }),
  );
}
