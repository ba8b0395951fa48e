import { lazy, Suspense, useSyncExternalStore } from 'react';
import { notices } from './notify.ts';

const Corner = lazy(async () => {
  const { Notifications } = await import('@mantine/notifications');
  return { default: Notifications };
});

/** Where `notify` tells. */
export function Notices() {
  const isWanted = useSyncExternalStore(notices.watch, notices.isWanted);
  if (!isWanted) return null;
  return (
    <Suspense>
      <Corner position="bottom-right" />
    </Suspense>
  );
}
