import { checkArchive, checkProgress } from './check-effects.js';
import { checkFairness } from './check-fairness.js';
import { checkClosing } from './check-closing.js';
import { checkScores, checkViews } from './check-boards.js';
import {
  checkCounters,
  checkOperators,
  checkReconciled,
  checkRefused,
  checkRolesAgree,
  checkSettled,
} from './check-settled.js';
import { checkKeys, checkReplay, checkSecrets } from './check-requests.js';
import { groundOf } from './ground.js';
import type { System } from './system.js';

/** Every check of a world at rest. @throws Violation */
export function checkAll(system: System): void {
  const ground = groundOf(system);
  checkSettled(system, ground);
  checkRefused(system, ground);
  checkReconciled(system, ground);
  checkOperators(system);
  checkRolesAgree(system, ground);
  checkCounters(system, ground);
  checkArchive(system, ground);
  checkProgress(system, ground);
  checkScores(system, ground);
  checkFairness(system, ground);
  checkClosing(system, ground);
  checkViews(system);
  checkKeys(system);
  checkReplay(system);
  checkSecrets(system);
}
