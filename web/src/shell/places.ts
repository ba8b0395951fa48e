import {
  IconBook2,
  IconBug,
  IconGauge,
  IconHistory,
  IconKey,
  IconMailX,
  IconReceipt,
  IconRewindForward10,
  IconScale,
  IconTrophy,
  IconUser,
  IconUsers,
  type Icon,
} from '@tabler/icons-react';
import { lazy, type ComponentType, type LazyExoticComponent } from 'react';
import type { GameRole } from './roles.ts';

export interface Place {
  /** Below `/g/<game>/`; a route pattern. */
  readonly path: string;
  /** Where the menu leads; the path without what varies. */
  readonly link: string;
  readonly label: string;
  readonly group: 'Play' | 'Fair play' | 'Pipeline' | 'Settings';
  readonly icon: Icon;
  /** Who sees it in the menu. */
  readonly needs: GameRole;
  readonly View: LazyExoticComponent<ComponentType>;
}

const page = (load: () => Promise<ComponentType>) => lazy(async () => ({ default: await load() }));

/** Every page of a game, in the order of the menu. Each is a chunk of its own, fetched when it is first opened. */
export const PLACES: readonly Place[] = [
  {
    path: 'overview',
    link: 'overview',
    label: 'Overview',
    group: 'Play',
    icon: IconGauge,
    needs: 'viewer',
    View: page(async () => (await import('../pages/overview/overview.tsx')).Overview),
  },
  {
    path: 'boards/:board?',
    link: 'boards',
    label: 'Leaderboards',
    group: 'Play',
    icon: IconTrophy,
    needs: 'viewer',
    View: page(async () => (await import('../pages/boards/boards.tsx')).Boards),
  },
  {
    path: 'players/:player?',
    link: 'players',
    label: 'Players',
    group: 'Play',
    icon: IconUser,
    needs: 'viewer',
    View: page(async () => (await import('../pages/players/players.tsx')).Players),
  },
  {
    path: 'receipts/:receipt?',
    link: 'receipts',
    label: 'Receipts',
    group: 'Play',
    icon: IconReceipt,
    needs: 'viewer',
    View: page(async () => (await import('../pages/receipts/receipts.tsx')).Receipts),
  },
  {
    path: 'fairness/:case?',
    link: 'fairness',
    label: 'Fairness',
    group: 'Fair play',
    icon: IconScale,
    needs: 'viewer',
    View: page(async () => (await import('../pages/fairness/fairness.tsx')).Fairness),
  },
  {
    path: 'debugger',
    link: 'debugger',
    label: 'Event debugger',
    group: 'Pipeline',
    icon: IconBug,
    needs: 'viewer',
    View: page(async () => (await import('../pages/debugger/debugger.tsx')).Debugger),
  },
  {
    path: 'dead-letters/:letter?',
    link: 'dead-letters',
    label: 'Dead letters',
    group: 'Pipeline',
    icon: IconMailX,
    needs: 'viewer',
    View: page(async () => (await import('../pages/dead-letters/dead-letters.tsx')).DeadLetters),
  },
  {
    path: 'replay/:job?',
    link: 'replay',
    label: 'Replay',
    group: 'Pipeline',
    icon: IconRewindForward10,
    needs: 'operator',
    View: page(async () => (await import('../pages/replay/replay.tsx')).Replay),
  },
  {
    path: 'definition/:version?',
    link: 'definition',
    label: 'Definition',
    group: 'Settings',
    icon: IconBook2,
    needs: 'viewer',
    View: page(async () => (await import('../pages/definition/definition.tsx')).Definition),
  },
  {
    path: 'keys',
    link: 'keys',
    label: 'Keys',
    group: 'Settings',
    icon: IconKey,
    needs: 'admin',
    View: page(async () => (await import('../pages/keys/keys.tsx')).Keys),
  },
  {
    path: 'users',
    link: 'users',
    label: 'Users',
    group: 'Settings',
    icon: IconUsers,
    needs: 'admin',
    View: page(async () => (await import('../pages/users/users.tsx')).Users),
  },
  {
    path: 'audit',
    link: 'audit',
    label: 'Audit log',
    group: 'Settings',
    icon: IconHistory,
    needs: 'admin',
    View: page(async () => (await import('../pages/audit/audit.tsx')).Audit),
  },
];

export const PLACE_GROUPS = ['Play', 'Fair play', 'Pipeline', 'Settings'] as const;
