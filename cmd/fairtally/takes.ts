import { archiveRole } from '../../pkg/archive/role.js';
import { fairnessRole } from '../../pkg/fairness/role.js';
import type { GameDefinition } from '../../pkg/games/port.js';
import type { RoleName } from '../../pkg/kernel/roles.js';
import { leaderboardRole } from '../../pkg/leaderboard/role.js';
import { createProgressionRole } from '../../pkg/progression/role.js';
import type { Role } from '../../pkg/worker/port.js';

type Takes = Role<unknown, unknown>['takes'];

const notHere = (): never => {
  throw new Error('an audit applies nothing');
};

/** The rule of each role, taken from the roles themselves: an audit must not have one of its own. */
const RULES: Readonly<Record<RoleName, Takes>> = {
  archive: archiveRole.takes,
  progression: createProgressionRole({ definitions: { version: notHere }, signer: { sign: notHere } }).takes,
  leaderboard: leaderboardRole({ refresh: notHere }).takes,
  fairness: fairnessRole.takes,
};

/** Whether a role has work for an event type under a definition. */
export const takes = (role: RoleName, definition: GameDefinition, type: string): boolean =>
  RULES[role](definition, type, definition.eventTypes.has(type));
