import type { ProblemCode, ProblemExtras } from '../contract/problem.js';
import { FairtallyError } from '../kernel/errors.js';

/** Ends a request with this problem; thrown by handlers, answered by the one error handler. */
export class RequestProblem extends FairtallyError {
  override readonly name = 'RequestProblem';
  constructor(
    readonly problem: ProblemCode,
    readonly extras: ProblemExtras = {},
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(problem, problem);
  }
}

/**
 * A parameter of the query or the path that does not have its format; the pointer names it, what was sent is not shown.
 *
 * @param detail what it takes, where that is not plain from its name
 */
export const wrongParameter = (name: string, detail?: string): RequestProblem =>
  new RequestProblem('invalid_parameter', {
    pointer: `/${name}`,
    ...(detail === undefined ? {} : { detail }),
  });
