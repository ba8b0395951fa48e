import type { Role } from '../worker/port.js';
import { fold, seriesOf, type FairnessChanges, type FairnessState } from './fold.js';
import { lockBaselines, saveChanges } from './postgres.js';

/**
 * Looks for values that do not fit the player's own past (docs/fairness.md). The only role whose result depends on the
 * order it saw; it stores that order, so that it can be run again exactly.
 */
export const fairnessRole: Role<FairnessState, FairnessChanges> = {
  name: 'fairness',
  takes: (definition, type, mapped) =>
    mapped && definition.fairness.some((metric) => metric.eventType === type),
  load: (sql, events) => lockBaselines(sql, seriesOf(events)),
  fold,
  save: saveChanges,
  made: ({ findings }) => ({ findings: findings.length }),
};
