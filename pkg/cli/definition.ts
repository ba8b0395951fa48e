import type { DefinitionStore } from '../games/definitions/postgres.js';
import type { DefinitionPlan } from '../games/definitions/plan.js';
import type { Output } from './output.js';
import { table } from './table.js';

export interface DefinitionCommand {
  readonly gameId: string;
  /** The YAML. */
  readonly source: string;
  /** Named in faults. */
  readonly fileName: string;
}

export interface DefinitionDeps {
  readonly definitions: DefinitionStore;
  readonly out: Output;
}

/** Shows what applying would change. 1 when it would be refused. */
export async function planDefinition(
  command: DefinitionCommand,
  { definitions, out }: DefinitionDeps,
): Promise<number> {
  const plan = await definitions.plan(command);
  describePlan(out, plan);
  for (const refusal of plan.refusals) out.line(`refused: ${refusal}`);
  return plan.refusals.length === 0 ? 0 : 1;
}

/** Makes the next version, in force from an instant on. */
export async function applyDefinition(
  command: DefinitionCommand & { readonly effectiveFromMs: number; readonly by: string },
  { definitions, out }: DefinitionDeps,
): Promise<number> {
  const { version, plan } = await definitions.apply(command);
  describePlan(out, plan);
  const from = new Date(command.effectiveFromMs).toISOString();
  out.line(`Version ${String(version)} of ${command.gameId} is in force from ${from} on.`);
  return 0;
}

/** The versions of a game, newest first. */
export async function listDefinitions(gameId: string, { definitions, out }: DefinitionDeps): Promise<number> {
  const rows = (await definitions.list(gameId)).map((row) => [
    row.version,
    new Date(row.effectiveFromMs).toISOString(),
    new Date(row.appliedAtMs).toISOString(),
    row.appliedBy,
    row.sourceSha256.slice(0, 12),
  ]);
  if (rows.length === 0) out.line(`Game ${gameId} has no definition.`);
  else out.line(table(['version', 'in force from', 'applied at', 'by', 'SHA-256'], rows));
  return 0;
}

const SIGNS = { added: '+', removed: '-', changed: '~' } as const;

function describePlan(out: Output, { changes }: DefinitionPlan): void {
  if (changes.length === 0) out.line('Nothing changes.');
  for (const { change, what, keys } of changes)
    out.line(`${SIGNS[change]} ${what}${keys.length === 0 ? '' : `: ${keys.join(', ')}`}`);
}
