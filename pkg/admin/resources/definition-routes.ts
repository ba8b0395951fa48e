import type { DefinitionStore, DefinitionVersion, VersionPlan } from '../../games/definitions/postgres.js';
import type { DefinitionSource } from '../../games/port.js';
import { RequestProblem } from '../../http/request-problem.js';
import type { Clock } from '../../kernel/clock.js';
import { FairtallyError } from '../../kernel/errors.js';
import type { Sql } from '../../postgres/port.js';
import type { GameCall, GameRoutes } from '../api/routes.js';
import { found, instantOf, type Schemas } from './answers.js';
import { readGame } from './games.postgres.js';

export interface DefinitionParts {
  /** The versions of definitions, inside a transaction that is open. */
  readonly definitionStore: (sql: Sql) => DefinitionStore;
  /** What is wrong with a document, where an error tells it; null for any other error. */
  readonly faultsOf: (error: unknown) => readonly Schemas['DefinitionFault'][] | null;
  readonly definitions: Pick<DefinitionSource, 'inForce'>;
  readonly clock: Pick<Clock, 'now'>;
}

type DefinitionOperation =
  'getGame' | 'listDefinitions' | 'getDefinition' | 'planDefinition' | 'applyDefinition';

/** What a game counts: its versions, what another would change, and making it so. */
export const definitionRoutes = (parts: DefinitionParts): Pick<GameRoutes, DefinitionOperation> => ({
  getGame: async ({ gameId, role, read }) => {
    const game = found(await read((sql) => readGame(sql, gameId)));
    const definition = await parts.definitions.inForce(gameId, parts.clock.now());
    return {
      status: 200,
      body: {
        ...game,
        role,
        definitionVersion: definition?.version ?? null,
        eventTypes: [...(definition?.eventTypes.keys() ?? [])],
        boards: [...(definition?.boards.keys() ?? [])],
        metrics: (definition?.fairness ?? []).map(({ name }) => name),
        maxLevel: definition?.levels?.maxLevel ?? null,
      },
    };
  },
  listDefinitions: async ({ gameId, read }) => ({
    status: 200,
    body: { items: itemsOf(await read((sql) => parts.definitionStore(sql).list(gameId)), parts.clock.now()) },
  }),
  getDefinition: async ({ gameId, path: { version }, read }) => ({
    status: 200,
    body: await read(async (sql) => {
      const store = parts.definitionStore(sql);
      const items = itemsOf(await store.list(gameId), parts.clock.now());
      const item = found(items.find((one) => one.version === version));
      return { item, source: found(await store.source(gameId, version)) };
    }),
  }),
  planDefinition: async (call) => ({ status: 200, body: await plan(call, parts) }),
  applyDefinition: async (call) => ({ status: 201, body: await apply(call, parts) }),
});

/** In force is the newest version whose instant has come; newer ones are still to come, unless a newer yet overrules them. */
function itemsOf(versions: readonly DefinitionVersion[], nowMs: number): Schemas['DefinitionItem'][] {
  const inForce = versions.find(({ effectiveFromMs }) => effectiveFromMs <= nowMs)?.version ?? 0;
  return versions.map((one, index) => {
    const isOverruled = versions
      .slice(0, index)
      .some(({ effectiveFromMs }) => effectiveFromMs <= one.effectiveFromMs);
    const isUpcoming = one.version > inForce && one.effectiveFromMs > nowMs && !isOverruled;
    return {
      version: one.version,
      state: one.version === inForce ? 'in_force' : isUpcoming ? 'upcoming' : 'past',
      effectiveFrom: instantOf(one.effectiveFromMs),
      sha256: one.sourceSha256,
      appliedBy: one.appliedBy,
      appliedAt: instantOf(one.appliedAtMs),
    };
  });
}

/** A version to come begins at its instant, any other now: what was counted stays counted as it was. */
function startOf({ effectiveFrom }: Schemas['DefinitionProposal'], { clock }: DefinitionParts): number {
  const nowMs = clock.now();
  const fromMs = effectiveFrom === undefined ? nowMs : Date.parse(effectiveFrom);
  if (fromMs < nowMs) throw new RequestProblem('definition_in_the_past', { pointer: '/effectiveFrom' });
  return fromMs;
}

async function plan(
  { gameId, body, read }: GameCall<'planDefinition'>,
  parts: DefinitionParts,
): Promise<Schemas['DefinitionPlan']> {
  const effectiveFromMs = startOf(body, parts);
  try {
    return await read(async (sql) => {
      const store = parts.definitionStore(sql);
      const planned = await store.plan({ gameId, source: body.source, effectiveFromMs });
      const { against } = planned;
      return planAnswer(planned, {
        effectiveFromMs,
        againstSource: against === null ? null : await store.source(gameId, against.version),
      });
    });
  } catch (error) {
    const faults = parts.faultsOf(error);
    if (faults === null) throw error;
    return {
      canApply: false,
      effectiveFrom: instantOf(effectiveFromMs),
      against: null,
      againstSource: null,
      overruled: [],
      changes: [],
      refusals: [],
      faults: [...faults],
    };
  }
}

const planAnswer = (
  planned: VersionPlan,
  {
    effectiveFromMs,
    againstSource,
  }: { readonly effectiveFromMs: number; readonly againstSource: string | null },
): Schemas['DefinitionPlan'] => ({
  canApply: planned.refusals.length === 0,
  effectiveFrom: instantOf(effectiveFromMs),
  against: planned.against === null ? null : versionInstant(planned.against),
  againstSource,
  overruled: planned.overruled.map(versionInstant),
  changes: changesOf(planned),
  refusals: [...planned.refusals],
  faults: [],
});

const changesOf = ({ changes }: VersionPlan): Schemas['DefinitionChange'][] =>
  changes.map(({ change, what, keys }) => ({ change, what, keys: [...keys] }));

const versionInstant = ({
  version,
  effectiveFromMs,
}: {
  readonly version: number;
  readonly effectiveFromMs: number;
}): Schemas['VersionInstant'] => ({ version, effectiveFrom: instantOf(effectiveFromMs) });

async function apply(
  { gameId, body, person, change }: GameCall<'applyDefinition'>,
  parts: DefinitionParts,
): Promise<Schemas['DefinitionApplied']> {
  const { source, expectedVersion } = body;
  const effectiveFromMs = startOf(body, parts);
  try {
    return await change(async ({ sql, audit }) => {
      const store = parts.definitionStore(sql);
      const applied = await store.apply({ gameId, source, effectiveFromMs, by: person.username });
      // The store has locked the game: the version that it made tells which one was the newest.
      if (expectedVersion !== undefined && expectedVersion !== applied.version - 1)
        throw new RequestProblem('definition_moved');
      const changes = changesOf(applied.plan);
      audit({
        action: 'definition.apply',
        subject: `definition ${String(applied.version)}`,
        details: {
          effectiveFrom: instantOf(effectiveFromMs),
          changes: changes
            .map((one) => `${one.change} ${one.what}`)
            .join('; ')
            .slice(0, 2_000),
        },
      });
      return { version: applied.version, effectiveFrom: instantOf(effectiveFromMs), changes };
    });
  } catch (error) {
    throw problemOf(error, parts);
  }
}

function problemOf(error: unknown, { faultsOf }: DefinitionParts): unknown {
  if (faultsOf(error) !== null) return new RequestProblem('definition_invalid');
  if (!(error instanceof FairtallyError)) return error;
  if (error.code === 'definition_unchanged') return new RequestProblem('definition_unchanged');
  if (error.code === 'definition_incompatible')
    return new RequestProblem('definition_incompatible', { detail: error.message });
  return error;
}
