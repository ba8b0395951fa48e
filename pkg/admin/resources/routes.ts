import type { GameRoutes } from '../api/routes.js';
import { boardRoutes, type BoardParts } from './board-routes.js';
import { definitionRoutes, type DefinitionParts } from './definition-routes.js';
import { eventRoutes } from './event-routes.js';
import { fairnessRoutes, type FairnessParts } from './fairness-routes.js';
import { keyRoutes, type KeyParts } from './key-routes.js';
import { letterRoutes, type LetterParts } from './letter-routes.js';
import { pipelineRoutes, type PipelineParts } from './pipeline-routes.js';
import { playerRoutes, type PlayerParts } from './player-routes.js';
import { receiptRoutes, type ReceiptParts } from './receipt-routes.js';
import { replayRoutes, type ReplayParts } from './replay-routes.js';

/** What the resources of a game stand on. */
export type ResourceParts = BoardParts &
  DefinitionParts &
  FairnessParts &
  KeyParts &
  LetterParts &
  PipelineParts &
  PlayerParts &
  ReceiptParts &
  ReplayParts;

/** Every resource of a game. */
export const resourceRoutes = (parts: ResourceParts) =>
  ({
    ...boardRoutes(parts),
    ...definitionRoutes(parts),
    ...eventRoutes(),
    ...fairnessRoutes(parts),
    ...keyRoutes(parts),
    ...letterRoutes(parts),
    ...pipelineRoutes(parts),
    ...playerRoutes(parts),
    ...receiptRoutes(parts),
    ...replayRoutes(parts),
  }) satisfies Partial<GameRoutes>;
