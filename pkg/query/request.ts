import type { Request } from 'express';
import type { ProblemCode, ProblemExtras } from '../contract/problem.js';
import { FairtallyError } from '../kernel/errors.js';

/** Ends a request with this problem; thrown by handlers, answered by the one error handler. */
export class RequestProblem extends FairtallyError {
  override readonly name = 'RequestProblem';
  constructor(
    readonly problem: ProblemCode,
    readonly extras: ProblemExtras = {},
    readonly retryAfterSeconds: number | null = null,
  ) {
    super(problem, problem);
  }
}

const wrong = (name: string): RequestProblem =>
  new RequestProblem('invalid_parameter', { pointer: `/${name}` });

/** A query parameter that may stand once, as text; undefined when it is absent. */
export function queryText(request: Request, name: string, maxLength: number): string | undefined {
  const value: unknown = request.query[name];
  if (value === undefined) return undefined;
  if (typeof value !== 'string' || value.length === 0 || value.length > maxLength) throw wrong(name);
  return value;
}

export function queryInteger(request: Request, name: string, min: number, max: number): number | undefined {
  const text = queryText(request, name, 10);
  if (text === undefined) return undefined;
  if (!/^(0|[1-9][0-9]{0,9})$/.test(text)) throw wrong(name);
  const value = Number(text);
  if (value < min || value > max) throw wrong(name);
  return value;
}

export function queryChoice<const Choice extends string>(
  request: Request,
  name: string,
  choices: readonly Choice[],
): Choice | undefined {
  const text = queryText(request, name, 32);
  if (text === undefined) return undefined;
  const choice = choices.find((candidate) => candidate === text);
  if (choice === undefined) throw wrong(name);
  return choice;
}

const PLAYER_ID_MAX_BYTES = 128;

/** A player id of a path or a query, with the same limit as at the door. */
export function checkPlayerId(playerId: string | undefined, name = 'playerId'): string {
  if (playerId === undefined || playerId === '' || Buffer.byteLength(playerId) > PLAYER_ID_MAX_BYTES)
    throw wrong(name);
  return playerId;
}

export const pageOf = (request: Request): { limit: number; cursor: string | null } => ({
  limit: queryInteger(request, 'limit', 1, 1000) ?? 100,
  cursor: queryText(request, 'cursor', 1024) ?? null,
});

/** Refuses parameters that the route does not know: a misspelt one must not be ignored in silence. */
export function onlyParameters(request: Request, names: readonly string[]): void {
  for (const name of Object.keys(request.query))
    if (!names.includes(name)) throw new RequestProblem('invalid_parameter');
}

/** A JSON object of exactly these keys. */
export function bodyObject(body: Buffer, keys: readonly string[]): Readonly<Record<string, unknown>> {
  if (body.length === 0) throw new RequestProblem('empty_body');
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body));
  } catch {
    throw new RequestProblem('malformed_json');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new RequestProblem('malformed_json');
  for (const key of Object.keys(value))
    if (!keys.includes(key)) throw new RequestProblem('unknown_field', { pointer: '' });
  return value as Readonly<Record<string, unknown>>;
}
