import type { Role } from '../worker/port.js';
import { fold, type BoardChanges, type LockedScores } from './fold.js';
import { lockScores, saveScores } from './postgres.js';
import type { BoardView } from './view.js';

/** Ranks subjects on the boards of the definition (docs/leaderboards.md). Its result depends on no order. */
export const leaderboardRole = (view: Pick<BoardView, 'refresh'>): Role<LockedScores, BoardChanges> => ({
  name: 'leaderboard',
  takes: (definition, type, mapped) => mapped && definition.boardsFor(type).length > 0,
  load: lockScores,
  fold,
  save: saveScores,
  refresh: (events) => view.refresh(events),
});
