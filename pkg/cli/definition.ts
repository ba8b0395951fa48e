import type { DefinitionStore, VersionPlan } from '../games/definitions/postgres.js';
import type { Clock } from '../kernel/clock.js';
import { FairtallyError } from '../kernel/errors.js';
import type { Output } from './output.js';
import { table } from './table.js';

export interface DefinitionCommand {
  readonly gameId: string;
  /** The YAML. */
  readonly source: string;
  /** Named in faults. */
  readonly fileName: string;
  /** null: from now on. */
  readonly effectiveFromMs: number | null;
}

export interface DefinitionDeps {
  readonly definitions: Pick<DefinitionStore, 'plan' | 'apply' | 'list'>;
  readonly clock: Pick<Clock, 'now'>;
  readonly out: Output;
}

/** Shows what applying would change. 1 when it would be refused. @throws as applyDefinition but for a refused plan */
export async function planDefinition(command: DefinitionCommand, deps: DefinitionDeps): Promise<number> {
  const { definitions, clock, out } = deps;
  const effectiveFromMs = await startOf(command, deps);
  const plan = await definitions.plan({ ...command, effectiveFromMs });
  describePlan(out, plan, clock.now());
  for (const refusal of plan.refusals) out.line(`refused: ${refusal}`);
  return plan.refusals.length === 0 ? 0 : 1;
}

/**
 * Makes the next version, in force from an instant on.
 *
 * @throws FairtallyError `definition_in_the_past`, and what the store throws
 */
export async function applyDefinition(
  command: DefinitionCommand & { readonly by: string },
  deps: DefinitionDeps,
): Promise<number> {
  const { definitions, clock, out } = deps;
  const effectiveFromMs = await startOf(command, deps);
  const { version, plan } = await definitions.apply({ ...command, effectiveFromMs });
  describePlan(out, plan, clock.now());
  out.line(
    `Version ${String(version)} of ${command.gameId} is in force from ${instantText(effectiveFromMs)} on.`,
  );
  return 0;
}

/** What was counted under a version stays so: only a first version, before which nothing counted, may begin in the past. */
async function startOf(
  { gameId, effectiveFromMs }: DefinitionCommand,
  { definitions, clock }: DefinitionDeps,
): Promise<number> {
  const nowMs = clock.now();
  const isPast = effectiveFromMs !== null && effectiveFromMs < nowMs;
  if (isPast && (await definitions.list(gameId)).length > 0) {
    throw new FairtallyError(
      'definition_in_the_past',
      `${instantText(effectiveFromMs)} has passed, and what was counted since was counted under the versions of then; ` +
        `name an instant to come, or leave --from out for now`,
    );
  }
  return effectiveFromMs ?? nowMs;
}

const instantText = (ms: number): string => new Date(ms).toISOString();

/** The versions of a game, newest first. */
export async function listDefinitions(
  gameId: string,
  { definitions, out }: Omit<DefinitionDeps, 'clock'>,
): Promise<number> {
  const rows = (await definitions.list(gameId)).map((row) => [
    row.version,
    instantText(row.effectiveFromMs),
    instantText(row.appliedAtMs),
    row.appliedBy,
    row.sourceSha256.slice(0, 12),
  ]);
  if (rows.length === 0) out.line(`Game ${gameId} has no definition.`);
  else out.line(table(['version', 'in force from', 'applied at', 'by', 'SHA-256'], rows));
  return 0;
}

const SIGNS = { added: '+', removed: '-', changed: '~' } as const;

function describePlan(out: Output, { changes, against, overruled }: VersionPlan, nowMs: number): void {
  if (against !== null && against.effectiveFromMs > nowMs) {
    const from = instantText(against.effectiveFromMs);
    out.line(`Against version ${String(against.version)}, which is in force from ${from} until then:`);
  }
  if (changes.length === 0) out.line('Nothing changes.');
  for (const { change, what, keys } of changes)
    out.line(`${SIGNS[change]} ${what}${keys.length === 0 ? '' : `: ${keys.join(', ')}`}`);
  for (const { version, effectiveFromMs } of overruled) {
    const from = instantText(effectiveFromMs);
    out.line(`Version ${String(version)}, to come at ${from}, is overruled: it will not be in force.`);
  }
}
