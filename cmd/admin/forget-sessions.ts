import { INSTALLATION } from '../../pkg/admin/port.js';
import { forgetSessions } from '../../pkg/admin/sign-in/sessions.postgres.js';
import { refreshInBackground, type Platform } from '../platform.js';
import type { AdminParts } from './compose-routes.js';

const EVERY_MS = 3_600_000;

/** Sessions that ended long ago, and tickets that ran out; every process does it, and it is the same to the others. */
export function forgetOldSessions({ games, apiDb }: AdminParts, platform: Platform): void {
  const { clock } = platform;
  const forget = async (): Promise<void> => {
    const nobody = { userId: null, name: '', requestId: '' };
    await games.upkeep(INSTALLATION, nobody, ({ sql }) => forgetSessions(sql, clock.now()));
    await apiDb.query('SELECT admin_drop_tickets()');
  };
  refreshInBackground('sessions that ended long ago', forget, EVERY_MS, platform);
}
