import type { Role } from '../worker/port.js';
import { foldArchive, type ArchiveChanges, type ArchiveState } from './fold.js';
import { lockProfiles, saveArchive } from './postgres.js';

/** Keeps every admitted event as it came, unmapped types too. Its inbox row is an event's uniqueness. */
export const archiveRole: Role<ArchiveState, ArchiveChanges> = {
  name: 'archive',
  takes: () => true,
  load: lockProfiles,
  fold: foldArchive,
  save: saveArchive,
};
